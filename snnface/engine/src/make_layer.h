// A layer from what the caller says of it: weights in all orders that the kernels read.
#pragma once
#include "filter.h"

namespace snn {

// Whether the way back of a layer needs no more of its neurons than those near their threshold.
inline bool compact(const snn_layer &is) { return is.spiking && is.surrogate == TRIANGLE && !is.learn; }

// Puts the weights of the way back in parts, for the matrix unit; chunks and width of the source.
inline void split_down(Layer &l, int chunks, int width, int threads) {
  const size_t tap = size_t(l.out_stride) * width, size = 2 * l.parts_stride() * width;
  l.down_parts = Buffer<Half>(chunks * l.taps * size, false);
  parallel(threads, [&](int thread, int n) {
    for (int i = thread; i < chunks * l.taps; i += n) {
      const float *from = l.down.get() + i * tap;
      Half *to = l.down_parts.get() + i * size;
      width == GROUP ? split_right<1>(from, l.out_stride, to) : split_right<2>(from, l.out_stride, to);
    }
  });
  l.down = {};
}

// `before`: the layer whose spikes this one takes; nullptr for the first, which takes events.
inline Layer make_layer(const snn_layer &is, const Layer *before, bool gradients, int threads) {
  Layer l;
  l.is = is;
  l.in_stride = before ? before->out_stride : is.in_c;
  l.words_in = before ? before->words() : 0;
  const int groups = rounded(is.out_c, GROUP) / GROUP;
  l.width = LANES == GROUP && groups % 2 == 0 ? 2 * GROUP : GROUP;
  l.out_stride = rounded(is.out_c, l.width);
  l.chunks = l.out_stride / l.width;
  l.taps = is.kernel[0] * is.kernel[1];
  l.rows = l.taps * l.in_stride;
  l.valued = !before || l.rows + PADDING > UINT16_MAX;
  l.weight = Buffer<float>(l.chunks * l.chunk_weights());
  const bool back = gradients && before, single = back && compact(before->is), parts = MATRIX && back && !single;
  if (back) l.down = Buffer<float>(size_t(l.rows) * l.out_stride);
  if (single) l.across = Buffer<float>(size_t(l.rows) * l.out_stride);
  const size_t tap = size_t(l.out_stride) * (before ? before->width : 0);
  if (back && !single && !parts && filters(is)) l.filter = Buffer<float>(before->chunks * 16 * tap, false);
  parallel(threads, [&](int thread, int n) {
    const int width = back ? before->width : 1;
    each_block(l, thread, n, [&](const WeightBlock &b, float *tile) {
      for (int j = 0; j < b.outs; j++)
        for (int c = 0; c < b.ins; c++)
          std::copy_n(is.weight + b.index + j * b.outer + c * b.inner, b.taps, tile + b.at(j, c, 0));
      for (int k = 0; k < b.taps; k++)
        for (int c = 0; c < b.ins; c++) {
          float *to = l.chunk_weight(b.out / l.width) + size_t(b.row(l, k, c)) * l.width + b.out % l.width;
          for (int j = 0; j < b.outs; j++) to[j] = tile[b.at(j, c, k)];
          float *across = single ? &l.across[size_t(b.row(l, k, c)) * l.out_stride + b.out] : nullptr;
          for (int j = 0; single && j < b.outs; j++) across[j] = tile[b.at(j, c, k)];
        }
      if (!back) return;
      size_t at[GROUP];
      for (int c = 0; c < b.ins; c++)
        at[c] = size_t((b.in + c) / width) * l.taps * l.out_stride * width + (b.in + c) % width;
      for (int k = 0; k < b.taps; k++)
        for (int j = 0; j < b.outs; j++) {
          float *to = l.down.get() + (size_t(b.tap + k) * l.out_stride + b.out + j) * width;
          for (int c = 0; c < b.ins; c++) to[at[c]] = tile[b.at(j, c, k)];
        }
    });
  });
  if (l.filter.size())
    for (int chunk = 0; chunk < before->chunks; chunk++)
      filter_weights(l.down.get() + chunk * l.taps * tap, tap, l.filter.get() + chunk * 16 * tap);
  if (parts) split_down(l, before->chunks, before->width, threads);
  l.band = 1;
  l.alpha = Buffer<float>(l.out_stride), l.beta = Buffer<float>(l.out_stride);
  l.threshold = Buffer<float>(l.out_stride);
  l.current = is.learn, l.restless = false;
  for (int o = 0; o < l.out_stride; o++) {
    const bool real = o < is.out_c;
    l.alpha[o] = real ? is.alpha[o] : 0.f;
    l.beta[o] = real ? is.beta[o] : 0.f;
    l.threshold[o] = real && is.spiking ? is.threshold[o] : NEVER;
    l.current |= l.alpha[o] != 0.f;
    l.restless |= l.threshold[o] < 0.f;
  }
  return l;
}

}  // namespace snn
