// Minimal filtering (Winograd 1980; Lavin and Gray 2016) for the gradient that comes down through a 3×3 kernel of stride 2.
//
// Along one axis, input i reads what output u reads it through tap k, i + padding = 2u + k: an odd sum leaves one output
// (k = 1), an even one two. Of outputs g0, g1, g2 side by side, two such inputs share the middle one:
//     w2·g0 + w0·g1 = w2·(g0 − g1) + (w2 + w0)·g1
//     w2·g1 + w0·g2 = (w2 + w0)·g1 + w0·(g2 − g1)
// Three products stand for four; with the odd sums five for six, and in two dimensions 25 for 36.
#pragma once
#include "product.h"

namespace snn {

// Inputs of a tile's side, and products along it.
constexpr int FILTER_SIDE = 4, FILTER_PRODUCTS = 5;

inline bool filters(const snn_layer &is) {
  for (int axis = 0; axis < 2; axis++)
    if (is.kernel[axis] != 3 || is.stride[axis] != 2 || is.dilation[axis] != 1) return false;
  return true;
}

namespace detail {

// One product along an axis. Gradients: 0 g0, 1 g1, 2 g0 − g1, 3 g2 − g1. Weights: 0 w1, 1 w2 + w0, 2 w2, 3 w0.
// Inputs in the order of i; SHARED is added to those that say so.
struct AxisProduct {
  int gradient, weight, input;
  bool adds_shared;
};
constexpr int SHARED = -1;
constexpr AxisProduct AXIS[FILTER_PRODUCTS] = {
    {1, 1, SHARED, false}, {0, 0, 0, false}, {2, 2, 1, true}, {1, 0, 2, false}, {3, 3, 3, true}};

inline void subtract(const float *a, const float *b, float *out, size_t n) {
  for (size_t i = 0; i < n; i += GROUP) store(out + i, load(a + i) - load(b + i));
}

}  // namespace detail

// The weights' 4×4 combinations [wy][wx][out channel][width] of one chunk, from its taps `down` [3·ky + kx][…].
inline void filter_weights(const float *down, size_t tap, float *out) {
  auto along = [tap](const float *w0, const float *w1, const float *w2, size_t i, int which) {
    return which == 0 ? w1[i] : which == 1 ? w2[i] + w0[i] : which == 2 ? w2[i] : w0[i];
  };
  std::vector<float> mixed(3 * tap);
  for (int wy = 0; wy < 4; wy++) {
    for (size_t i = 0; i < 3 * tap; i++) mixed[i] = along(down, down + 3 * tap, down + 6 * tap, i, wy);
    for (int wx = 0; wx < 4; wx++)
      for (size_t i = 0; i < tap; i++)
        *out++ = along(mixed.data(), mixed.data() + tap, mixed.data() + 2 * tap, i, wx);
  }
}

// What a thread needs for a tile.
struct Filter {
  Buffer<float> gradients;  // combinations, [STEPS][out_stride] each
  Buffer<float> zeros;      // of an output outside the image
  Buffer<float> shared;     // [1 + FILTER_SIDE][STEPS][width]
};

// Gradients of a tile's spikes. `outputs`: the 3×3 outputs [STEPS][stride] of the layer above (nullptr outside its image);
// `weights`: of filter_weights; `inputs`: where the 4×4 results go (nullptr: nowhere), steps `input_stride` apart.
template <int G>
inline void filtered(const float *const outputs[3][3], const float *weights, int channels, int stride, int from, int to,
                     float *const inputs[FILTER_SIDE][FILTER_SIDE], int input_stride, Filter &scratch) {
  constexpr int W = G * GROUP;
  const size_t size = size_t(STEPS) * stride, begin = size_t(from) * stride, used = size_t(to - from) * stride;
  scratch.gradients.grow(14 * size);  // two differences in each of three columns, two in each of four rows
  if (scratch.zeros.size() < size) scratch.zeros = Buffer<float>(size);
  scratch.shared.grow((1 + FILTER_SIDE) * STEPS * W);
  float *free = scratch.gradients.get();
  auto difference = [&](const float *a, const float *b) {
    detail::subtract(a + begin, b + begin, free + begin, used);
    return std::exchange(free, free + size);
  };
  const float *g[4][4];
  for (int x = 0; x < 3; x++) {
    const float *column[3];
    for (int y = 0; y < 3; y++) column[y] = outputs[y][x] ? outputs[y][x] : scratch.zeros.get();
    g[0][x] = column[0], g[1][x] = column[1];
    g[2][x] = difference(column[0], column[1]), g[3][x] = difference(column[2], column[1]);
  }
  for (int y = 0; y < 4; y++) {
    const float *last = g[y][2];
    g[y][2] = difference(g[y][0], g[y][1]), g[y][3] = difference(last, g[y][1]);
  }
  float *along_x = scratch.shared.get(), *along_y = along_x + STEPS * W;
  for (const detail::AxisProduct &y : detail::AXIS)
    for (const detail::AxisProduct &x : detail::AXIS) {
      float *out = along_x;
      int out_stride = W;
      if (x.input != detail::SHARED) {
        if (y.input == detail::SHARED)
          out = along_y + size_t(x.input) * STEPS * W;
        else
          out = inputs[y.input][x.input], out_stride = input_stride;
        if (!out) continue;
      }
      const Tap tap{g[y.gradient][x.gradient], weights + (4 * y.weight + x.weight) * size_t(stride) * W, nullptr};
      product<G>(&tap, 1, from, to, channels, stride, x.adds_shared ? along_x : nullptr,
                 y.adds_shared && x.input != detail::SHARED ? along_y + size_t(x.input) * STEPS * W : nullptr, out,
                 out_stride);
    }
}

}  // namespace snn
