// A layer from what the caller says of it: weights in all orders that the kernels read.
#pragma once
#include "filter.h"

namespace snn {

// Whether the way back of a layer needs no more of its neurons than those near their threshold.
inline bool compact(const snn_layer &is) { return is.spiking && is.surrogate == TRIANGLE && !is.learn; }

// What the matrix unit reads in place of the floats: of each chunk and tap, rows [rows][width].
template <int P>
inline Buffer<Half> split_taps(const float *from, int chunks, size_t apart, int taps, int rows, int width, int threads) {
  const size_t size = size_t(depths(rows)) * P * width / GROUP * TILE;
  Buffer<Half> to(size_t(chunks) * taps * size, false);
  parallel(threads, [&](int thread, int n) {
    for (int i = thread; i < chunks * taps; i += n) {
      const float *at = from + i / taps * apart + size_t(i % taps) * rows * width;
      width == GROUP ? split_rows<P, 1>(at, rows, to.get() + i * size) : split_rows<P, 2>(at, rows, to.get() + i * size);
    }
  });
  return to;
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
  const bool back = gradients && before, single = back && !MATRIX && compact(before->is);
  if (back) l.down = Buffer<float>(size_t(l.rows) * l.out_stride);
  if (single) l.across = Buffer<float>(size_t(l.rows) * l.out_stride);
  const size_t tap = size_t(l.out_stride) * (before ? before->width : 0);
  if (back && !single && !MATRIX && filters(is)) l.filter = Buffer<float>(before->chunks * 16 * tap, false);
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
  if (MATRIX && !l.valued)
    l.weight_parts =
        split_taps<WHOLE>(l.weight.get(), l.chunks, l.chunk_weights(), l.taps, l.in_stride, l.width, threads);
  if (MATRIX && back) {
    const size_t apart = l.taps * tap;
    l.down_parts =
        split_taps<NEARLY>(l.down.get(), before->chunks, apart, l.taps, l.out_stride, before->width, threads);
    l.down = {};
  }
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
