// Event-driven synapses: active sources say which outputs they reach; an output, when its turn comes, lists the rows of
// weights that arrive there and adds them up in registers.
#pragma once
#include <type_traits>
#include <vector>

#include "layer.h"
#include "stream_input.h"

// One layer as the caller describes it. Pairs are (y, x); weight [out_c][in_c / groups][kH][kW]. A dense layer is a
// convolution whose kernel is as large as its input.
extern "C" struct snn_stream_synapses {
  int32_t in_c, in_h, in_w, out_c, out_h, out_w;
  int32_t kernel[2], stride[2], padding[2], dilation[2], groups;
  const float *weight;
};

namespace snn {

// Numbers and values of channels that are copied at once: rarely more are active in one position.
typedef uint32_t vlist __attribute__((vector_size(GROUP * 4), aligned(4)));
typedef float vvalues __attribute__((vector_size(GROUP * 4), aligned(4)));

// The outputs at which anything arrives in a step; of one of them the rows of weights that do, and what they count where
// their sources are valued.
struct Arrivals {
  Places reached;
  Buffer<uint32_t> row;
  Buffer<float> value;
  uint32_t count = 0;
};

class Synapses {
 public:
  const int width;  // channels of an output position, padded to whole groups

  // Groups are weights of zero in between.
  explicit Synapses(const snn_stream_synapses &s)
      : width(rounded(s.out_c, GROUP)), is_(s), along_{Axis(s, 0), Axis(s, 1)}, readers_(s.in_w, s.out_w),
        taps_(s.kernel[0] * s.kernel[1]) {
    is_.weight = nullptr;
    for (int x = 0; x < s.in_w; x++) along_[1].each_reader(x, [&](int output) { readers_.add({x, output}); });
    const int in = s.in_c / s.groups, out = s.out_c / s.groups;
    // The mean over positions has one set of weights for all taps, which then stays in the cache.
    bool alike = true;
    for (size_t i = 0; i < size_t(s.out_c) * in * taps_; i++) alike &= s.weight[i] == s.weight[i - i % taps_];
    tap_rows_ = alike ? 0 : s.in_c;
    const int taps = alike ? 1 : taps_;
    weight_ = Buffer<float>(size_t(taps) * s.in_c * width);
    for (int o = 0; o < s.out_c; o++)
      for (int i = 0; i < in; i++)
        for (int k = 0; k < taps; k++)
          weight_[(size_t(k) * s.in_c + o / out * in + i) * width + o] = s.weight[(size_t(o) * in + i) * taps_ + k];
  }

  const snn_stream_synapses &is() const { return is_; }
  int positions() const { return is_.out_h * is_.out_w; }
  size_t neurons() const { return size_t(positions()) * width; }
  int position(Place p) const { return p.y * is_.out_w + p.x; }

  // Makes `outputs` those that active sources reach.
  void reach(const Active &from, Places *outputs) const {
    outputs->begin(is_.out_h, is_.out_w);
    for (size_t i = 0; i < from.places(); i++) {
      const Place p = from.place(i);
      along_[0].each_reader(p.y, [&](int y) { outputs->add(y, readers_, p.x); });
    }
  }

  // What arrives at an output that is reached. VALUED: as the sources are.
  template <bool VALUED>
  __attribute__((noinline)) void list(const Active &from, Place output, Arrivals *to) const {
    const size_t most = size_t(taps_) * is_.in_c + GROUP;
    to->row.grow(most);
    if (VALUED) to->value.grow(most);
    uint32_t *const rows = to->row.get(), *const channels = from.channel.get(), n = 0;
    float *const values = to->value.get(), *const worth = from.value.get();
    // Whole vectors are copied, of silent positions too: that is quicker than to ask.
    auto take = [&](Active::List list, int tap) {
      const uint32_t first = uint32_t(tap) * tap_rows_;
      uint32_t i = 0;
      do {
        *(vlist *)(rows + n + i) = *(const vlist *)(channels + list.first + i) + first;
        if constexpr (VALUED)
          *(vvalues *)(values + n + i) = *(const vvalues *)(worth + list.first + i);
        i += GROUP;
      } while (i < list.count);
      n += list.count;
    };
    const Axis &ys = along_[0], &xs = along_[1];
    const Axis::Window y = ys.of[output.y], x = xs.of[output.x];
    if (from.places() < size_t(taps_)) {
      for (size_t i = 0; i < from.places(); i++) {
        const Place p = from.place(i);
        const int ky = ys.tap(p.y - y.origin), kx = xs.tap(p.x - x.origin);
        if (ky >= 0 && kx >= 0) take(from.at(p), ky * is_.kernel[1] + kx);
      }
    } else {
      for (int ky = y.begin; ky < y.end; ky++) {
        const Active::List *at = from.row(y.origin + ky * ys.dilation) + x.origin + x.begin * xs.dilation;
        const int tap = ky * is_.kernel[1];
        for (int kx = x.begin; kx < x.end; kx++, at += xs.dilation) take(*at, tap + kx);
      }
    }
    to->count = n;
  }

  // f(channel, sum) for all groups of an output's channels.
  template <bool VALUED, class F>
  SNN_INLINE void each_sum(const Arrivals &of, F f) const {
    int c = 0;
    auto groups = [&](auto count) {
      constexpr int G = count.value;
      for (; c + G * GROUP <= width; c += G * GROUP) {
        Group sums[G];
        sum<G, VALUED>(of, c, sums);
        SNN_UNROLL for (int g = 0; g < G; g++) f(c + g * GROUP, sums[g]);
      }
    };
    if constexpr (PARTS == 1) groups(std::integral_constant<int, 8>{});
    if constexpr (PARTS <= 2) groups(std::integral_constant<int, 4>{});
    groups(std::integral_constant<int, 2>{});
    groups(std::integral_constant<int, 1>{});
  }

 private:
  // Along one axis: the inputs that each output reads, and the outputs that read each input.
  struct Axis {
    struct Window {
      int32_t origin, begin, end;  // input of tap 0; the taps that lie inside
    };
    int taps, dilation;
    std::vector<Window> of;
    std::vector<int32_t> outputs;
    std::vector<uint32_t> first{0};

    Axis(const snn_stream_synapses &s, int axis) : taps(s.kernel[axis]), dilation(s.dilation[axis]) {
      const int inputs = axis ? s.in_w : s.in_h, all = axis ? s.out_w : s.out_h;
      for (int o = 0; o < all; o++) {
        Window w{o * s.stride[axis] - s.padding[axis], 0, taps};
        while (w.begin < taps && w.origin + w.begin * dilation < 0) w.begin++;
        while (w.end > w.begin && w.origin + (w.end - 1) * dilation >= inputs) w.end--;
        of.push_back(w);
      }
      for (int i = 0; i < inputs; i++) {
        readers(i, taps, s.stride[axis], s.padding[axis], dilation, all, [&](int o, int) { outputs.push_back(o); });
        first.push_back(uint32_t(outputs.size()));
      }
    }
    template <class F>
    SNN_INLINE void each_reader(int input, F f) const {
      for (uint32_t i = first[input]; i < first[input + 1]; i++) f(outputs[i]);
    }
    // Of an input so far from the origin; -1 where it isn't seen.
    int tap(int distance) const {
      return distance >= 0 && distance % dilation == 0 && distance / dilation < taps ? distance / dilation : -1;
    }
  };

  snn_stream_synapses is_;
  Axis along_[2];
  Places readers_;        // [input x][output x]: the outputs of a row that read an input
  int taps_, tap_rows_;   // from one tap's rows to the next one's
  Buffer<float> weight_;  // [ky·kW + kx, or all taps in one][source channel][width]

  template <int G, bool VALUED>
  SNN_INLINE void sum(const Arrivals &of, int c, Group *sums) const {
    const float *weight = weight_.get() + c;
    for (int g = 0; g < G; g++) sums[g] = splat(0.f);
    for (uint32_t i = 0; i < of.count; i++) {
      const float *w = weight + size_t(of.row[i]) * width;
      for (int g = 0; g < G; g++) {
        if constexpr (VALUED)
          sums[g] = sums[g] + splat(of.value[i]) * load(w + g * GROUP);
        else
          sums[g] = sums[g] + load(w + g * GROUP);
      }
    }
  }
};

}  // namespace snn
