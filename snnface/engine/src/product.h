// The gradient of a position's spikes: what the layer above sends back through the weights.
#pragma once
#include "layer.h"

namespace snn {

// One tap of the layer above: its gradients `g` [steps][out_stride] and its weights; or both in parts.
struct Tap {
  const float *g = nullptr;
  const float *down = nullptr;    // [out channel][width] of the source's chunk
  const float *across = nullptr;  // [source channel of the chunk][out_stride]
  const Half *left = nullptr;     // [part][STEPS][parts_stride]
  const Half *right = nullptr;    // of the source's chunk
};

namespace detail {

// Where `start` and `more` are given, they are added.
template <int M, int G>
SNN_INLINE void tile(const Tap *taps, int n, int from, int channels, int stride, const float *start, const float *more,
                     float *out, int out_stride) {
  constexpr int W = G * GROUP;
  Group sum[M][G];
  SNN_UNROLL
  for (int m = 0; m < M; m++)
    for (int i = 0; i < G; i++) {
      const size_t at = size_t(from + m) * W + i * GROUP;
      sum[m][i] = start ? load(start + at) : splat(0.f);
      if (more) sum[m][i] = sum[m][i] + load(more + at);
    }
  for (int q = 0; q < n; q++) {
    const float *a = taps[q].g + size_t(from) * stride, *b = taps[q].down;
    for (int k = 0; k < channels; k++, b += W) {
      Group w[G];
      for (int i = 0; i < G; i++) w[i] = load(b + i * GROUP);
      SNN_UNROLL
      for (int m = 0; m < M; m++) {
        const Group x = splat(a[size_t(m) * stride + k]);
        for (int i = 0; i < G; i++) sum[m][i] = multiply_add(x, w[i], sum[m][i]);
      }
    }
  }
  SNN_UNROLL
  for (int m = 0; m < M; m++)
    for (int i = 0; i < G; i++) store(out + size_t(from + m) * out_stride + i * GROUP, sum[m][i]);
}

template <int M, int G>
SNN_INLINE void tiles(const Tap *taps, int n, int from, int to, int channels, int stride, const float *start,
                      const float *more, float *out, int out_stride) {
  for (; from + M <= to; from += M) tile<M, G>(taps, n, from, channels, stride, start, more, out, out_stride);
  if constexpr (M > 1)
    if (from < to) tiles<M / 2, G>(taps, n, from, to, channels, stride, start, more, out, out_stride);
}

// Rows of a tile: what the registers hold, and whole tiles in a block.
template <int G>
constexpr int TILE_ROWS = LANES == 16 ? 16 / G : LANES == 8 ? 4 : 2;

}  // namespace detail

// out[step][width] (steps `out_stride` apart) = Σ over taps and out channels of g[step] · down; steps from … to. Where
// given, `start` and `more` [STEPS][width] are added.
template <int G>
inline void product(const Tap *taps, int n, int from, int to, int channels, int stride, const float *start,
                    const float *more, float *out, int out_stride) {
  detail::tiles<detail::TILE_ROWS<G>, G>(taps, n, from, to, channels, stride, start, more, out, out_stride);
}

namespace detail {

template <int G, int ROWS>
SNN_INLINE void product_of_parts(const Tap *taps, int n, size_t parts_stride, float *out, int out_stride) {
  using S = Sums<G, ROWS>;
  S::zero();
  for (int q = 0; q < n; q++) {
    const Half *right = taps[q].right;
    for (size_t k = 0; k < parts_stride; k += DEPTH, right += 2 * G * TILE)
      S::add(taps[q].left + k, parts_stride, STEPS * parts_stride, right);
  }
  S::put(out, out_stride);
}

}  // namespace detail

// The same from parts, on the matrix unit; other steps of the block may be written too.
template <int G>
inline void product_of_parts(const Tap *taps, int n, int from, int to, size_t parts_stride, float *out, int out_stride) {
  if (to <= 16)
    detail::product_of_parts<G, LOW>(taps, n, parts_stride, out, out_stride);
  else if (from >= 16)
    detail::product_of_parts<G, HIGH>(taps, n, parts_stride, out, out_stride);
  else
    detail::product_of_parts<G, BOTH>(taps, n, parts_stride, out, out_stride);
}

namespace detail {

// Four scalar products, each of its own step and channel (step·WIDTH + channel). Writes four numbers.
template <int WIDTH>
SNN_INLINE void dots(const Tap *taps, int n, const uint16_t *wanted, int stride, float *out) {
  Group part[4];
  size_t step[4], channel[4];
  for (int j = 0; j < 4; j++) {
    part[j] = splat(0.f);
    step[j] = size_t(wanted[j] / WIDTH) * stride, channel[j] = size_t(wanted[j] % WIDTH) * stride;
  }
  for (int q = 0; q < n; q++) {
    const float *g = taps[q].g, *across = taps[q].across;
    for (int k = 0; k < stride; k += GROUP)
      for (int j = 0; j < 4; j++)
        part[j] = multiply_add(load(g + step[j] + k), load(across + channel[j] + k), part[j]);
  }
  four_sums(part, out);
}

}  // namespace detail

// The same for the neurons of `wanted` [STEPS][G] alone, one scalar product each, side by side by step and channel. May
// write three numbers past them.
template <int G>
inline void products(const Tap *taps, int n, int from, int to, const Word *wanted, int stride, float *out) {
  constexpr int W = G * GROUP;
  uint16_t all[(STEPS + 1) * W];
  int count = 0;
  for (int t = from; t < to; t++) {
    const uint32_t bits = G == 2 ? wanted[2 * t] | uint32_t(wanted[2 * t + 1]) << GROUP : wanted[t];
    count += list_bits(bits, uint32_t(t * W), all + count);
  }
  for (int j = 0; j < 4; j++) all[count + j] = 0;
  for (int j = 0; j < count; j += 4) detail::dots<W>(taps, n, all + j, stride, out + j);
}

}  // namespace snn
