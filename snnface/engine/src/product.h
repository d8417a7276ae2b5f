// The gradient of a position's spikes: what the layer above sends back through the weights.
#pragma once
#include "layer.h"

namespace snn {

// One tap of the layer above: its gradients `g` [steps][out_stride] and its weights.
struct Tap {
  const float *g;
  const float *down;    // [out channel][width] of the source's chunk
  const float *across;  // [source channel of the chunk][out_stride]
};

namespace detail {

template <int M, int G>
SNN_INLINE void tile(const Tap *taps, int n, int from, int channels, int stride, float *out) {
  constexpr int W = G * GROUP;
  Group sum[M][G];
  for (int m = 0; m < M; m++)
    for (int i = 0; i < G; i++) sum[m][i] = splat(0.f);
  for (int q = 0; q < n; q++) {
    const float *a = taps[q].g + size_t(from) * stride, *b = taps[q].down;
    for (int k = 0; k < channels; k++, b += W) {
      Group w[G];
      for (int i = 0; i < G; i++) w[i] = load(b + i * GROUP);
      for (int m = 0; m < M; m++) {
        const Group x = splat(a[size_t(m) * stride + k]);
        for (int i = 0; i < G; i++) sum[m][i] = sum[m][i] + x * w[i];
      }
    }
  }
  for (int m = 0; m < M; m++)
    for (int i = 0; i < G; i++) store(out + size_t(from + m) * W + i * GROUP, sum[m][i]);
}

template <int M, int G>
SNN_INLINE void tiles(const Tap *taps, int n, int from, int to, int channels, int stride, float *out) {
  for (; from + M <= to; from += M) tile<M, G>(taps, n, from, channels, stride, out);
  if constexpr (M > 1)
    if (from < to) tiles<M / 2, G>(taps, n, from, to, channels, stride, out);
}

// Rows of a tile: as many sums as the registers hold.
template <int G>
constexpr int tile_rows() {
  return LANES == 16 ? 24 / G : LANES == 8 ? 6 : 2;
}

}  // namespace detail

// out [STEPS][width], steps from … to: all channels of a chunk.
template <int G>
inline void product(const Tap *taps, int n, int from, int to, int channels, int stride, float *out) {
  detail::tiles<detail::tile_rows<G>(), G>(taps, n, from, to, channels, stride, out);
}

// The same for the neurons of `wanted` [STEPS][G] alone: one scalar product each; the others become 0.
template <int G>
inline void products(const Tap *taps, int n, int from, int to, const Word *wanted, int stride, float *out) {
  constexpr int W = G * GROUP;
  for (int t = from; t < to; t++)
    for (int i = 0; i < G; i++) {
      float *o = out + t * W + i * GROUP;
      store(o, splat(0.f));
      for (unsigned rest = wanted[t * G + i]; rest; rest &= rest - 1) {
        const int c = __builtin_ctz(rest);
        Group even = splat(0.f), odd = splat(0.f);
        for (int q = 0; q < n; q++) {
          const float *a = taps[q].g + size_t(t) * stride, *w = taps[q].across + size_t(i * GROUP + c) * stride;
          int k = 0;
          for (; k + 2 * GROUP <= stride; k += 2 * GROUP) {
            even = even + load(a + k) * load(w + k);
            odd = odd + load(a + k + GROUP) * load(w + k + GROUP);
          }
          if (k < stride) even = even + load(a + k) * load(w + k);
        }
        o[c] = sum(even + odd);
      }
    }
}

}  // namespace snn
