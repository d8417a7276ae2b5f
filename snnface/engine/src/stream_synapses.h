// Event-driven synapses: every active source adds its row of weights to the positions that see it.
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

  template <bool VALUED, class Touch>
  void walk(const Active &from, float *sums, Touch touch) const {
    const Axis &ys = along_[0], &xs = along_[1];
    for (size_t i = 0; i < from.position.size(); i++) {
      const int y = from.position[i] / is_.in_w, x = from.position[i] % is_.in_w;
      const uint32_t begin = from.first[i], end = from.first[i + 1], together = is_.groups == 1 ? end - begin : 1;
      for (auto *ry = ys.begin(y); ry != ys.end(y); ry++)
        for (auto *rx = xs.begin(x); rx != xs.end(x); rx++) {
          const int output = ry->output * is_.out_w + rx->output;
          touch(output);
          const float *rows = &weight_[size_t(ry->tap * is_.kernel[1] + rx->tap) * is_.in_c * row_];
          float *sum = sums + size_t(output) * width;
          for (uint32_t j = begin; j < end; j += together) {
            const uint32_t *channel = &from.channel[j];
            const float *value = VALUED ? &from.value[j] : nullptr;
            add_wide<VALUED>(sum + start_[*channel], rows, channel, value, together);
          }
        }
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
