// A layer as the kernels see it: geometry, weights in the orders they are read, and where everything lies.
//
// Orders in memory, from the outside in:
//   channels   padded to whole chunks of `width` = 16 or 32; a chunk is what one pass over the spikes computes
//   weight     [chunk][row][width]; row = (ky·kW + kx)·in_stride + channel of the source; PADDING rows of zeros follow
//   across     [row][out_stride]: the same unchunked, what one source sends to all channels of an output
//   down       [chunk of the source][ky·kW + kx][out channel][width of the source]: the way back of the gradient
//   down_parts the same for the matrix unit: of each chunk and tap a right side (matrix.h)
//   spikes     Word [position][STEPS][words]: a block of steps of one position lies together
//   states     [chunk][position][width]
// A dense layer is a convolution whose kernel is as large as its input; groups are weights of zero in between.
#pragma once
#include <algorithm>

#include "matrix.h"
#include "pool.h"
#include "simd.h"

// One layer as the caller describes it. Pairs are (y, x); weight [out_c][in_c / groups][kH][kW]; the decays of
// current and membrane and the threshold are [out_c]. surrogate: see enum Surrogate.
extern "C" struct snn_layer {
  int32_t in_c, in_h, in_w, out_c, out_h, out_w;
  int32_t kernel[2], stride[2], padding[2], dilation[2], groups;
  int32_t spiking, subtract, surrogate, detach_reset, learn;
  float slope;
  const float *weight, *alpha, *beta, *threshold;
};

namespace snn {

// Lists of rows are padded to whole fours with rows of zeros, each another: sums into one would wait for each other.
constexpr int PADDING = 3;

// A threshold that no membrane passes: that of padding and of the readout. Finite, so that nothing becomes NaN.
constexpr float NEVER = 3e38f;

enum Surrogate { FAST_SIGMOID = 0, ATAN = 1, TRIANGLE = 2 };

// Steps of a block: neurons are carried through a block at a time, states are kept between blocks.
constexpr int STEPS = 32;

struct Layer {
  snn_layer is;
  int in_stride, words_in;            // channels and spike words of a source position (words_in 0: events)
  int width, chunks, out_stride;      // channels of a chunk, chunks, channels of a position
  int taps, rows;                     // positions of the kernel, rows of weights
  int band;                           // rows of the image that the way back takes at once
  bool valued;                        // whether rows go with a value and 32 bits (patches.h)
  bool current;                       // whether a synaptic current outlives its step, or may learn to
  bool restless;                      // whether a neuron spikes without input
  Buffer<float> weight, across, down, filter;
  Buffer<Half> down_parts;
  Buffer<float> alpha, beta, threshold;  // [out_stride]; padding never spikes

  int positions() const { return is.out_h * is.out_w; }
  int words() const { return out_stride / GROUP; }
  size_t chunk_weights() const { return size_t(rows + PADDING) * width; }
  // Whether the matrix unit computes what this layer sends back, from gradients in parts: numbers of a position's step.
  bool in_parts() const { return MATRIX && down_parts.size() > 0; }
  size_t parts_stride() const { return size_t(depths(out_stride)) * DEPTH; }
  float *chunk_weight(int chunk) const { return weight.get() + chunk * chunk_weights(); }
};

// Outputs along one axis that read input i, and through which tap: f(output, tap).
template <class F>
SNN_INLINE void readers(int i, int taps, int stride, int padding, int dilation, int outputs, F f) {
  for (int k = 0; k < taps; k++) {
    const int at = i + padding - k * dilation;
    if (at >= 0 && at % stride == 0 && at / stride < outputs) f(at / stride, k);
  }
}

// f(output position, tap) for every output that reads input (y, x).
template <class F>
SNN_INLINE void each_reader(const snn_layer &l, int y, int x, F f) {
  readers(y, l.kernel[0], l.stride[0], l.padding[0], l.dilation[0], l.out_h, [&](int oy, int ky) {
    readers(x, l.kernel[1], l.stride[1], l.padding[1], l.dilation[1], l.out_w,
            [&](int ox, int kx) { f(size_t(oy) * l.out_w + ox, size_t(ky) * l.kernel[1] + kx); });
  });
}

// Calls f(source y, source x, ky·kW + kx) for every input position that output (y, x) reads.
template <class F>
SNN_INLINE void sources(const snn_layer &l, int y, int x, F f) {
  for (int ky = 0; ky < l.kernel[0]; ky++) {
    const int iy = y * l.stride[0] - l.padding[0] + ky * l.dilation[0];
    if (iy < 0 || iy >= l.in_h) continue;
    for (int kx = 0; kx < l.kernel[1]; kx++) {
      const int ix = x * l.stride[1] - l.padding[1] + kx * l.dilation[1];
      if (ix >= 0 && ix < l.in_w) f(iy, ix, ky * l.kernel[1] + kx);
    }
  }
}

inline int rounded(int n, int to) { return (n + to - 1) / to * to; }

// A block of weights: up to 16 out channels, 16 source channels of their group and 16 taps.
struct WeightBlock {
  int out, outs;        // first out channel, and how many
  int in, ins;          // the same of the source, counted in the whole layer
  int tap, taps;        // and of the kernel
  size_t index;         // where the block begins in the caller's order …
  size_t outer, inner;  // … and from one out channel, and one source channel, to the next there

  int row(const Layer &l, int k, int i) const { return (tap + k) * l.in_stride + in + i; }
  // Whether it is 16 × 16 × 16 weights, from where a group of the source begins.
  bool whole() const { return outs == GROUP && ins == GROUP && taps == GROUP && in % GROUP == 0 && out % GROUP == 0; }
  // The taps of one pair of channels; of sixteen a vector, since a string instruction takes longer to begin.
  void copy_taps(const float *from, float *to) const {
    taps == GROUP ? store(to, load(from)) : (void)std::copy_n(from, taps, to);
  }
  // A tile of the block: out channel j, source channel i, tap k. Rows are no power of two apart, for the cache's sake.
  static constexpr int TILE_ROW = GROUP * GROUP + GROUP, TILE = GROUP * TILE_ROW;
  int at(int j, int i, int k) const { return j * TILE_ROW + i * taps + k; }
};

// f(block, tile) for all blocks; a thread takes its share. `tile` is room for the block: rows of the caller's own often
// lie where they drive each other out of the cache.
template <class F>
inline void each_block(const Layer &l, int thread, int threads, F f) {
  const int in = l.is.in_c / l.is.groups, out = l.is.out_c / l.is.groups, taps = l.taps;
  float tile[WeightBlock::TILE];
  for (int first = thread * GROUP; first < l.is.out_c; first += threads * GROUP)
    for (int o = first, end = 0; o < std::min(first + GROUP, l.is.out_c); o = end) {
      end = std::min({first + GROUP, l.is.out_c, (o / out + 1) * out});
      for (int c = 0; c < in; c += GROUP)
        for (int k = 0; k < taps; k += GROUP)
          f(WeightBlock{o, end - o, o / out * in + c, std::min(GROUP, in - c), k, std::min(GROUP, taps - k),
                        (size_t(o) * in + c) * taps + k, size_t(in) * taps, size_t(taps)},
            tile);
    }
}

}  // namespace snn
