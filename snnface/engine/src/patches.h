// Which rows of weights arrive at the outputs of one image row, step by step: the lists that all sums run over.
#pragma once
#include "events.h"
#include "layer.h"

namespace snn {

// Rows of output x at step t: row[first[x·(STEPS + 1) + t]] … first[… + t + 1], padded to fours with rows of zeros.
// `value` goes with them where events come in; spikes are ones.
struct Patches {
  Buffer<uint32_t> first, row, count;
  Buffer<float> value;
  Buffer<const Word *> source;  // of each tap of the output at work: its spikes, and its first row
  Buffer<uint32_t> base;
  size_t used = 0;

  const uint32_t *of(int x) const { return first.get() + size_t(x) * (STEPS + 1); }
};

namespace detail {

SNN_INLINE void pad(Patches &to, uint32_t zeros) {
  while (to.used % 4) to.row[to.used++] = zeros++;
}

}  // namespace detail

// From the spikes of the layer before, of one block of `steps` steps that begins at `begin`; only from the steps on at
// which the outputs of this row are `needed`.
inline void list_spikes(const Layer &l, const Word *spikes, const int32_t *needed, int y, int begin, int steps,
                        Patches &to) {
  const int words = l.words_in, wide = l.is.out_w;
  to.first.grow(size_t(wide) * (STEPS + 1));
  to.used = 0;
  to.source.grow(l.taps), to.base.grow(l.taps);
  for (int x = 0; x < wide; x++) {
    const int from = std::max(0, needed[x] - begin);
    if (from >= steps) continue;
    int n = 0;
    sources(l.is, y, x, [&](int iy, int ix, int tap) {
      to.source[n] = spikes + size_t(iy * l.is.in_w + ix) * STEPS * words;
      to.base[n++] = uint32_t(tap * l.in_stride);
    });
    uint32_t *first = to.first.get() + size_t(x) * (STEPS + 1);
    for (int t = from; t < steps; t++) {
      first[t] = uint32_t(to.used);
      to.row.grow(to.used + size_t(l.rows) + GROUP + 4);
      uint32_t *out = to.row.get() + to.used;
      for (int i = 0; i < n; i++)
        for (int w = 0; w < words; w++) out += list_bits(to.source[i][t * words + w], to.base[i] + w * GROUP, out);
      to.used = size_t(out - to.row.get());
      detail::pad(to, uint32_t(l.rows));
    }
    first[steps] = uint32_t(to.used);
  }
}

// From the cells of a clip; the block's steps are begin … begin + steps of `total`.
inline void list_cells(const Layer &l, const Cells &cells, int y, int begin, int steps, int total, Patches &to) {
  const snn_layer &is = l.is;
  const int wide = is.out_w, channels = is.in_c;
  const size_t lists = size_t(wide) * (STEPS + 1);
  to.first.grow(lists), to.count.grow(lists);
  auto each = [&](auto f) {
    for (int ky = 0; ky < is.kernel[0]; ky++) {
      const int iy = y * is.stride[0] - is.padding[0] + ky * is.dilation[0];
      if (iy < 0 || iy >= is.in_h) continue;
      const uint32_t *first = cells.first.data() + size_t(iy) * total + begin;
      for (int t = 0; t < steps; t++)
        for (uint32_t i = first[t]; i < first[t + 1]; i++) {
          const int x = int(cells.place[i]) / channels, c = int(cells.place[i]) % channels;
          readers(x, is.kernel[1], is.stride[1], is.padding[1], is.dilation[1], wide, [&](int ox, int kx) {
            f(size_t(ox) * (STEPS + 1) + t, uint32_t((ky * is.kernel[1] + kx) * channels + c), cells.value[i]);
          });
        }
    }
  };
  std::memset(to.count.get(), 0, lists * sizeof(uint32_t));
  each([&](size_t list, uint32_t, float) { to.count[list]++; });
  uint32_t used = 0;
  for (int x = 0; x < wide; x++)
    for (int t = 0; t <= steps; t++) {
      const size_t list = size_t(x) * (STEPS + 1) + t;
      const uint32_t n = t < steps ? (to.count[list] + 3) / 4 * 4 : 0;
      to.first[list] = used, to.count[list] = used;
      used += n;
    }
  to.used = used;
  to.row.grow(used), to.value.grow(used);
  for (uint32_t i = 0; i < used; i++) to.row[i] = uint32_t(l.rows) + i % PADDING, to.value[i] = 0.f;
  each([&](size_t list, uint32_t row, float value) {
    const uint32_t i = to.count[list]++;
    to.row[i] = row, to.value[i] = value;
  });
}

}  // namespace snn
