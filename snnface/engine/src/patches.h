// Which rows of weights arrive at the outputs of one image row, step by step: the lists that all sums run over.
#pragma once
#include <type_traits>

#include "events.h"
#include "layer.h"

namespace snn {

// The number of a row. Events carry a value and take 32 bits, as do the spikes of a layer with too many rows for 16.
template <bool VALUED>
using Row = std::conditional_t<VALUED, uint32_t, uint16_t>;

// Rows of an output at step t: first[n·(STEPS + 1) + t] … first[… + t + 1], padded to fours with rows of zeros, where n
// counts the outputs that are ever needed. They stand in `row`, or in `wide` with a `value` each where the layer is valued.
struct Patches {
  Buffer<uint32_t> first, wide;
  Buffer<uint16_t> row;
  Buffer<float> value;
  size_t lists = 0, used = 0;  // entries of `first`, and of what is in use of the others
  bool valued = false;

  const uint32_t *of(int n) const { return first.get() + size_t(n) * (STEPS + 1); }
  size_t bytes() const { return lists * 4 + used * (valued ? 8 : 2); }
  Patches copy(Arena &to) const {
    const size_t plain = valued ? 0 : used, all = valued ? used : 0;
    return {to.copy(first, lists), to.copy(wide, all), to.copy(row, plain), to.copy(value, all), lists, used, valued};
  }
  void begin(int outputs, bool values) {
    lists = size_t(outputs) * (STEPS + 1), valued = values, used = 0;
    first.grow(lists);
  }
};

template <bool VALUED, class P>
auto &rows_of(P &patches) {
  if constexpr (VALUED)
    return patches.wide;
  else
    return patches.row;
}

// Of the output at work, what a list is made from.
struct Sources {
  Buffer<const Word *> spikes;  // of each tap
  Buffer<uint32_t> row;         // the first one of each tap
  Buffer<uint32_t> count;       // entries of each list
};

// From the spikes of the layer before, of one block of `steps` steps that begins at `begin`; only from the steps on at
// which the outputs of this row are `needed`; `before` is the row's in Kept.
template <bool VALUED>
inline void list_spikes(const Layer &l, const Word *spikes, const int32_t *needed, const int32_t *before, int y,
                        int begin, int steps, Sources &sources_of, Patches &to) {
  const int words = l.words_in, wide = l.is.out_w;
  Buffer<Row<VALUED>> &row = rows_of<VALUED>(to);
  to.begin(before[wide] - before[0], VALUED);
  sources_of.spikes.grow(l.taps), sources_of.row.grow(l.taps);
  const Word **source = sources_of.spikes.get();
  uint32_t *base = sources_of.row.get();
  for (int x = 0; x < wide; x++) {
    const int from = std::max(0, needed[x] - begin);
    if (from >= steps) continue;
    int n = 0;
    sources(l.is, y, x, [&](int iy, int ix, int tap) {
      source[n] = spikes + size_t(iy * l.is.in_w + ix) * STEPS * words;
      base[n++] = uint32_t(tap * l.in_stride);
    });
    uint32_t *first = to.first.get() + size_t(before[x] - before[0]) * (STEPS + 1);
    for (int t = from; t < steps; t++) {
      first[t] = uint32_t(to.used);
      row.grow(to.used + size_t(l.rows) + 2 * GROUP + PADDING);
      Row<VALUED> *out = row.get() + to.used;
      for (int w = 0; w < words; w += 2) {
        const bool both = w + 1 < words;
        for (int i = 0; i < n; i++) {
          const Word *at = source[i] + t * words + w;
          out += list_bits(at[0] | (both ? uint32_t(at[1]) << GROUP : 0), base[i] + w * GROUP, out);
        }
      }
      for (int q = 0; q < PADDING; q++) out[q] = Row<VALUED>(l.rows + q);
      to.used = (size_t(out - row.get()) + PADDING) / (PADDING + 1) * (PADDING + 1);
    }
    first[steps] = uint32_t(to.used);
  }
  if constexpr (VALUED) {
    to.value.grow(to.used);
    std::fill_n(to.value.get(), to.used, 1.f);
  }
}

// From the cells of a clip; the block's steps are begin … begin + steps of `total`; `before` is the row's in Kept.
inline void list_cells(const Layer &l, const Cells &cells, const int32_t *before, int y, int begin, int steps, int total,
                       Buffer<uint32_t> &count, Patches &to) {
  const snn_layer &is = l.is;
  const int wide = is.out_w, channels = is.in_c, outputs = before[wide] - before[0];
  to.begin(outputs, true);
  if (!outputs) return;
  count.grow(to.lists);
  // Of each column: the outputs that read it, and the first row of weights that it goes through.
  std::vector<uint32_t> begins{0};
  std::vector<std::pair<uint32_t, uint32_t>> read;
  for (int x = 0; x < is.in_w; x++) {
    readers(x, is.kernel[1], is.stride[1], is.padding[1], is.dilation[1], wide, [&](int ox, int kx) {
      read.emplace_back((before[ox] - before[0]) * (STEPS + 1), kx * channels);
    });
    begins.push_back(uint32_t(read.size()));
  }
  auto each = [&](auto f) {
    for (int ky = 0; ky < is.kernel[0]; ky++) {
      const int iy = y * is.stride[0] - is.padding[0] + ky * is.dilation[0];
      if (iy < 0 || iy >= is.in_h) continue;
      const uint32_t *first = cells.first.data() + size_t(iy) * total + begin;
      for (int t = 0; t < steps; t++)
        for (uint32_t i = first[t]; i < first[t + 1]; i++) {
          const uint32_t x = cells.place[i] >> 16, row = ky * is.kernel[1] * channels + (cells.place[i] & 0xffff);
          for (uint32_t j = begins[x]; j < begins[x + 1]; j++) f(read[j].first + t, row + read[j].second, cells.value[i]);
        }
    }
  };
  std::memset(count.get(), 0, to.lists * sizeof(uint32_t));
  each([&](size_t list, uint32_t, float) { count[list]++; });
  uint32_t used = 0;
  for (int n = 0; n < outputs; n++)
    for (int t = 0; t <= steps; t++) {
      const size_t list = size_t(n) * (STEPS + 1) + t;
      const uint32_t size = t < steps ? (count[list] + PADDING) / (PADDING + 1) * (PADDING + 1) : 0;
      to.first[list] = used, count[list] = used;
      used += size;
    }
  to.used = used;
  to.wide.grow(used), to.value.grow(used);
  for (uint32_t i = 0; i < used; i++) to.wide[i] = uint32_t(l.rows) + i % PADDING, to.value[i] = 0.f;
  each([&](size_t list, uint32_t row, float value) {
    const uint32_t i = count[list]++;
    to.wide[i] = row, to.value[i] = value;
  });
}

}  // namespace snn
