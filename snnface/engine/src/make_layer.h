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

// A block's weights, out channels side by side: rows of the source `width` apart.
inline void by_out(const Layer &l, const WeightBlock &b, const float *tile, float *to, size_t width) {
  for (int c = 0; b.whole() && c < b.ins; c++)
    transpose(tile + b.at(0, c, 0), WeightBlock::TILE_ROW, to + b.row(l, 0, c) * width, l.in_stride * width);
  for (int k = 0; !b.whole() && k < b.taps; k++)
    for (int c = 0; c < b.ins; c++)
      for (int j = 0; j < b.outs; j++) to[b.row(l, k, c) * width + j] = tile[b.at(j, c, k)];
}

// The same for the way back: channels of the source side by side, `width` in a chunk.
inline void by_source(const Layer &l, const WeightBlock &b, const float *tile, int width) {
  const size_t tap = size_t(l.out_stride) * width;
  float *to = l.down.get() + b.tap * tap + size_t(b.out) * width;
  auto channel = [&](int c) { return size_t((b.in + c) / width) * l.taps * tap + (b.in + c) % width; };
  for (int j = 0; b.whole() && j < b.outs; j++)
    transpose(tile + b.at(j, 0, 0), b.taps, to + channel(0) + j * width, tap);
  for (int k = 0; !b.whole() && k < b.taps; k++)
    for (int j = 0; j < b.outs; j++)
      for (int c = 0; c < b.ins; c++) to[k * tap + j * width + channel(c)] = tile[b.at(j, c, k)];
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
  // Without padding and groups every weight is written: zeros stand in the rows behind them alone.
  const bool zeros = is.groups > 1 || is.out_c < l.out_stride || is.in_c < l.in_stride;
  l.weight = Buffer<float>(l.chunks * l.chunk_weights(), zeros);
  for (int chunk = 0; chunk < l.chunks; chunk++)
    std::fill_n(l.chunk_weight(chunk) + size_t(l.rows) * l.width, PADDING * l.width, 0.f);
  const bool back = gradients && before, single = back && compact(before->is), parts = MATRIX && back && !single;
  if (back) l.down = Buffer<float>(size_t(l.rows) * l.out_stride, zeros);
  if (single) l.across = Buffer<float>(size_t(l.rows) * l.out_stride, zeros);
  const size_t tap = size_t(l.out_stride) * (before ? before->width : 0);
  if (back && !single && !parts && filters(is)) l.filter = Buffer<float>(before->chunks * 16 * tap, false);
  parallel(threads, [&](int thread, int n) {
    each_block(l, thread, n, [&](const WeightBlock &b, float *tile) {
      for (int j = 0; j < b.outs; j++)
        for (int c = 0; c < b.ins; c++)
          b.copy_taps(is.weight + b.index + j * b.outer + c * b.inner, tile + b.at(j, c, 0));
      by_out(l, b, tile, l.chunk_weight(b.out / l.width) + b.out % l.width, l.width);
      if (single) by_out(l, b, tile, l.across.get() + b.out, l.out_stride);
      if (back) by_source(l, b, tile, before->width);
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
