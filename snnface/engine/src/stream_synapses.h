// Event-driven synapses: every active source adds its rows of weights to the positions that see it, at once (`add`) or
// when a position's turn comes (`route`, then `rows`), so that its sums stay in registers.
#pragma once
#include <algorithm>
#include <vector>

#include "stream_input.h"

// One layer as the caller describes it. Pairs are (y, x); weight [out_c][in_c / groups][kH][kW]. A dense layer is a
// convolution whose kernel is as large as its input.
extern "C" struct snn_stream_synapses {
  int32_t in_c, in_h, in_w, out_c, out_h, out_w;
  int32_t kernel[2], stride[2], padding[2], dilation[2], groups;
  const float *weight;
};

namespace snn {

// Adds the rows of the listed channels, `width` apart, to G groups of sums.
template <int G, bool VALUED>
SNN_INLINE void add_rows(float *sum, const float *rows, size_t width, const uint32_t *channel, const float *value,
                         uint32_t n) {
  Group a[G];
  for (int g = 0; g < G; g++) a[g] = load(sum + g * GROUP);
  for (uint32_t i = 0; i < n; i++) {
    const float *w = rows + channel[i] * width;
    for (int g = 0; g < G; g++) {
      if constexpr (VALUED)
        a[g] = a[g] + splat(value[i]) * load(w + g * GROUP);
      else
        a[g] = a[g] + load(w + g * GROUP);
    }
  }
  for (int g = 0; g < G; g++) store(sum + g * GROUP, a[g]);
}

// For each position the sources that reach it, in the order in which they are active. One serves all layers in turn.
struct Routes {
  struct Source {
    uint32_t number, tap;  // in the Active; of the kernel
  };
  Buffer<uint32_t> count;  // of each position; zero between steps
  Buffer<Source> source;   // [position][taps]
  Buffer<uint32_t> row;    // of the position whose turn it is: numbers of rows
  Buffer<float> value;     // and what they count
};

class Synapses {
 public:
  const int width;  // channels of an output position, padded to whole groups

  explicit Synapses(const snn_stream_synapses &s)
      : width(rounded(s.out_c, GROUP)), is_(s), along_{Axis(s, 0), Axis(s, 1)}, start_(s.in_c) {
    is_.weight = nullptr;
    const int in = s.in_c / s.groups, out = s.out_c / s.groups, taps = s.kernel[0] * s.kernel[1];
    row_ = 0;
    for (int g = 0; g < s.groups; g++)
      row_ = std::max(row_, rounded((g + 1) * out, GROUP) - g * out / GROUP * GROUP);
    for (int c = 0; c < s.in_c; c++) start_[c] = std::min(c / in * out / GROUP * GROUP, width - row_);
    weight_ = Buffer<float>(size_t(taps) * s.in_c * row_);
    for (int o = 0; o < s.out_c; o++)
      for (int i = 0; i < in; i++) {
        const int c = o / out * in + i;
        for (int k = 0; k < taps; k++)
          weight_[(size_t(k) * s.in_c + c) * row_ + o - start_[c]] = s.weight[(size_t(o) * in + i) * taps + k];
      }
  }

  const snn_stream_synapses &is() const { return is_; }
  int positions() const { return is_.out_h * is_.out_w; }
  size_t neurons() const { return size_t(positions()) * width; }
  size_t bytes() const { return weight_.size() * sizeof(float); }

  // Adds to `sums` [positions][width], after touch(position).
  template <class Touch>
  void add(const Active &from, float *sums, Touch touch) const {
    if (from.valued)
      walk<true>(from, sums, touch);
    else
      walk<false>(from, sums, touch);
  }

  bool routes() const { return is_.groups == 1; }

  // Notes every active source with the positions it reaches, after touch(position).
  template <class Touch>
  void route(const Active &from, Routes *to, Touch touch) const {
    const size_t taps = size_t(is_.kernel[0]) * is_.kernel[1];
    if (to->count.size() < size_t(positions())) to->count = Buffer<uint32_t>(positions());
    if (to->source.size() < positions() * taps) to->source = Buffer<Routes::Source>(positions() * taps, false);
    to->row.grow(taps * is_.in_c + GROUP), to->value.grow(taps * is_.in_c + GROUP);
    for (size_t i = 0; i < from.position.size(); i++)
      each_reader(from.position[i], [&](int output, int tap) {
        touch(output);
        to->source[output * taps + to->count[output]++] = {uint32_t(i), uint32_t(tap)};
      });
  }

  // The rows that reach a position, of which there are so many; forgets them.
  uint32_t rows(const Active &from, int position, Routes *of) const {
    const size_t taps = size_t(is_.kernel[0]) * is_.kernel[1];
    const Routes::Source *source = of->source.get() + position * taps;
    uint32_t n = 0;
    for (uint32_t i = 0; i < of->count[position]; i++) {
      const uint32_t begin = from.first[source[i].number], count = from.first[source[i].number + 1] - begin;
      const uint32_t base = source[i].tap * uint32_t(is_.in_c);
      for (uint32_t j = 0; j < count; j += LANES)  // whole vectors: a few numbers too many are written over
        *(vint_any *)&of->row[n + j] = *(const vint_any *)&from.channel[begin + j] + int32_t(base);
      if (from.valued)
        for (uint32_t j = 0; j < count; j++) of->value[n + j] = from.value[begin + j];
      n += count;
    }
    of->count[position] = 0;
    return n;
  }

  // Adds n such rows to G groups of sums, from channel c on.
  template <int G, bool VALUED>
  SNN_INLINE void sum(Group *sums, int c, const Routes &of, uint32_t n) const {
    const float *weight = weight_.get() + c;
    for (uint32_t i = 0; i < n; i++) {
      const float *w = weight + size_t(of.row[i]) * row_;
      for (int g = 0; g < G; g++) {
        if constexpr (VALUED)
          sums[g] = sums[g] + splat(of.value[i]) * load(w + g * GROUP);
        else
          sums[g] = sums[g] + load(w + g * GROUP);
      }
    }
  }

 private:
  // Along one axis: the outputs that read each input, and through which tap.
  struct Axis {
    struct Reader {
      int32_t output, tap;
    };
    std::vector<Reader> readers;
    std::vector<uint32_t> first{0};

    Axis(const snn_stream_synapses &s, int axis) {
      const int inputs = axis ? s.in_w : s.in_h, outputs = axis ? s.out_w : s.out_h;
      for (int i = 0; i < inputs; i++) {
        snn::readers(i, s.kernel[axis], s.stride[axis], s.padding[axis], s.dilation[axis], outputs,
                     [&](int output, int tap) { readers.push_back({output, tap}); });
        first.push_back(uint32_t(readers.size()));
      }
    }
    const Reader *begin(int i) const { return readers.data() + first[i]; }
    const Reader *end(int i) const { return readers.data() + first[i + 1]; }
  };

  snn_stream_synapses is_;
  Axis along_[2];
  std::vector<int> start_;  // first output channel of each source's row: a row covers its group only
  int row_;                 // channels of a row
  Buffer<float> weight_;    // [ky·kW + kx][source channel][row]

  // f(output, tap) for all outputs that read a position.
  template <class F>
  SNN_INLINE void each_reader(int position, F f) const {
    const Axis &ys = along_[0], &xs = along_[1];
    const int y = position / is_.in_w, x = position % is_.in_w;
    for (auto *ry = ys.begin(y); ry != ys.end(y); ry++)
      for (auto *rx = xs.begin(x); rx != xs.end(x); rx++)
        f(ry->output * is_.out_w + rx->output, ry->tap * is_.kernel[1] + rx->tap);
  }

  template <bool VALUED, class Touch>
  void walk(const Active &from, float *sums, Touch touch) const {
    for (size_t i = 0; i < from.position.size(); i++) {
      const uint32_t begin = from.first[i], end = from.first[i + 1], together = is_.groups == 1 ? end - begin : 1;
      each_reader(from.position[i], [&](int output, int tap) {
        touch(output);
        const float *rows = &weight_[size_t(tap) * is_.in_c * row_];
        float *sum = sums + size_t(output) * width;
        for (uint32_t j = begin; j < end; j += together) {
          const uint32_t *channel = &from.channel[j];
          const float *value = VALUED ? &from.value[j] : nullptr;
          add_wide<VALUED>(sum + start_[*channel], rows, channel, value, together);
        }
      });
    }
  }

  template <bool VALUED>
  SNN_INLINE void add_wide(float *sum, const float *rows, const uint32_t *channel, const float *value,
                           uint32_t n) const {
    const size_t width = row_;
    int c = 0;
    for (; c + 4 * GROUP <= row_; c += 4 * GROUP) add_rows<4, VALUED>(sum + c, rows + c, width, channel, value, n);
    for (; c + 2 * GROUP <= row_; c += 2 * GROUP) add_rows<2, VALUED>(sum + c, rows + c, width, channel, value, n);
    if (c < row_) add_rows<1, VALUED>(sum + c, rows + c, width, channel, value, n);
  }
};

}  // namespace snn
