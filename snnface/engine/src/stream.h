// Streaming of a float network, one step at a time, at the cost of what happens in the step.
//
// A position's neurons are computed in a step that brings them input, and in every step in which they might spike
// without (a current still flows, a reset by subtraction left them above threshold). Otherwise they sleep: what they
// miss is made up in closed form when they are next touched. The readout is computed in every step.
#pragma once
#include <memory>

#include "api.h"
#include "stream_decay.h"
#include "stream_synapses.h"

// Neurons of one layer: decays and threshold [out_c]. subtract: reset by subtraction, else to zero.
extern "C" struct snn_stream_lif {
  int32_t spiking, subtract;
  const double *alpha, *beta;
  const float *threshold;
};

namespace snn {

// What a step needs beside the network and the state: one for each thread.
struct StreamScratch {
  InputSums input;
  Active active[2];
  Arrivals arrivals;
};

inline StreamScratch &stream_scratch() {
  thread_local StreamScratch scratch;
  return scratch;
}

// The spikes of a last layer as ones among zeros, [channels][positions], without a pass over all of them.
struct ShownSpikes {
  std::vector<size_t> shown;

  // `out`: the same array in every step, zeros at first.
  template <class T>
  void write(const Active &spikes, int width, int positions, T *out) {
    for (size_t i : shown) out[i] = 0;
    shown.clear();
    spikes.each(width, positions, [&](size_t i) { shown.push_back(i); });
    for (size_t i : shown) out[i] = 1;
  }
};

// [positions][width] ↔ [channels][positions].
template <class T>
inline void channels_first(const T *from, int positions, int width, int channels, T *to) {
  for (int p = 0; p < positions; p++)
    for (int c = 0; c < channels; c++) to[size_t(c) * positions + p] = from[size_t(p) * width + c];
}
template <class T>
inline void channels_last(const T *from, int positions, int width, int channels, T *to) {
  for (int p = 0; p < positions; p++)
    for (int c = 0; c < channels; c++) to[size_t(p) * width + c] = from[size_t(c) * positions + p];
}

// State of one layer. Without currents the input goes straight into the membrane and `u` is empty.
struct LazyState {
  Buffer<float> u, v;
  Buffer<int64_t> seen;  // steps that the position's state has gone through
  Places awake;          // positions that the next step computes whatever comes
};

class LazyLayer {
 public:
  Synapses synapses;

  LazyLayer(const snn_stream_synapses &s, const snn_stream_lif &n)
      : synapses(s), decay_(n.alpha, n.beta, s.out_c), spiking_(n.spiking), subtract_(n.subtract) {
    threshold_ = Buffer<float>(width());
    limit_ = Buffer<float>(width());
    fading_ = !decay_.current;
    for (int c = 0; c < width(); c++) {
      threshold_[c] = spiking_ && c < s.out_c ? n.threshold[c] : INFINITY;
      // Rounding must not put a neuron to sleep that is about to spike.
      limit_[c] = spiking_ && c < s.out_c ? threshold_[c] - 1e-6f * std::fabs(threshold_[c]) : INFINITY;
      fading_ &= limit_[c] >= 0 && (c >= s.out_c || n.beta[c] <= 1);
    }
  }

  bool spiking() const { return spiking_; }

  LazyState silence() const {
    LazyState s;
    s.u = Buffer<float>(decay_.current ? synapses.neurons() : 0);
    s.v = Buffer<float>(synapses.neurons());
    s.seen = Buffer<int64_t>(synapses.positions());
    s.awake = Places(synapses.is().out_h, synapses.is().out_w);
    wake(&s);
    return s;
  }

  // One step: spikes are written to `spikes`, which may not be `from`.
  void step(LazyState *s, int64_t step, const Active &from, Arrivals *arrivals, Active *spikes) const {
    spikes->begin(synapses.is().out_h, synapses.is().out_w, false);
    synapses.reach(from, &arrivals->reached);
    s->awake.sweep(arrivals->reached, [&](Place at, bool reached) {
      const int p = synapses.position(at);
      const int64_t missed = step - s->seen[p];
      s->seen[p] = step + 1;
      return from.valued ? compute<true>(s, at, missed, reached, from, arrivals, spikes)
                         : compute<false>(s, at, missed, reached, from, arrivals, spikes);
    });
  }

  // Brings all positions to `step`, so that the state is what a dense step would hold.
  void settle(LazyState *s, int64_t step) const {
    for (int p = 0; p < synapses.positions(); p++) {
      decay_.silent(u(*s, p), v(*s, p), width(), step - s->seen[p]);
      s->seen[p] = step;
    }
    wake(s);
  }

  // Membranes (or currents) [channels][positions] of a settled state; currents that nothing carries on are zero.
  void get(const LazyState &s, float *u, float *v) const {
    if (decay_.current) channels_first(s.u.get(), synapses.positions(), width(), synapses.is().out_c, u);
    membranes(s, v);
  }
  void membranes(const LazyState &s, float *v) const {
    channels_first(s.v.get(), synapses.positions(), width(), synapses.is().out_c, v);
  }
  void set(LazyState *s, int64_t step, const float *u, const float *v) const {
    if (decay_.current) channels_last(u, synapses.positions(), width(), synapses.is().out_c, s->u.get());
    channels_last(v, synapses.positions(), width(), synapses.is().out_c, s->v.get());
    for (int p = 0; p < synapses.positions(); p++) s->seen[p] = step;
    wake(s);
  }

  size_t state_bytes() const {
    return synapses.neurons() * sizeof(float) * (decay_.current ? 2 : 1) + synapses.positions() * sizeof(int64_t);
  }

 private:
  Decay decay_;
  Buffer<float> threshold_, limit_;
  bool spiking_, subtract_;
  bool fading_;  // whether a neuron below its limit stays there in silence

  int width() const { return synapses.width; }
  float *u(const LazyState &s, int p) const { return decay_.current ? &s.u[size_t(p) * width()] : nullptr; }
  float *v(const LazyState &s, int p) const { return &s.v[size_t(p) * width()]; }

  // Decays, input and spikes of one position; whether the next step computes it whatever comes.
  template <bool VALUED>
  bool compute(LazyState *s, Place at, int64_t missed, bool reached, const Active &from, Arrivals *arrivals,
               Active *spikes) const {
    arrivals->count = 0;
    if (reached) synapses.list<VALUED>(from, at, arrivals);
    const int p = synapses.position(at);
    float *us = u(*s, p), *vs = v(*s, p);
    const float *factors = decay_.nearly_until(us, vs, width(), missed);
    uint32_t *list = spikes->room(width());
    int fired = 0;
    Word above = 0;
    synapses.each_sum<VALUED>(*arrivals, [&](int c, Group sum) __attribute__((always_inline)) {
      Group m = load(vs + c);
      if (us) {
        Group current = load(us + c);
        decay_.apply(factors, c, &current, &m);
        current = current + sum;
        store(us + c, current);
        m = m + current;
      } else {
        decay_.apply(factors, c, nullptr, &m);
        m = m + sum;
      }
      const Group threshold = load(&threshold_[c]);
      const Word spike = greater(m, threshold);
      m = subtract_ ? m - where(spike, threshold) : where(Word(~spike), m);
      store(vs + c, m);
      fired += list_bits(spike, uint32_t(c), list + fired);
      above |= greater(m, load(&limit_[c]));
    });
    spikes->close(at, uint32_t(fired));
    return fading_ && spiking_ ? above != 0 : stays_awake(*s, p);
  }

  bool stays_awake(const LazyState &s, int p) const {
    return !spiking_ || decay_.restless(u(s, p), v(s, p), limit_.get(), width());
  }
  void wake(LazyState *s) const {
    s->awake.clear();
    for (int y = 0, p = 0; y < synapses.is().out_h; y++)
      for (int x = 0; x < synapses.is().out_w; x++, p++)
        if (stays_awake(*s, p)) s->awake.add({y, x});
  }
};

// Weights and parameters, shared by any number of streams; nothing of it ever changes.
struct StreamNetwork {
  snn_stream_coding coding;
  std::vector<LazyLayer> layers;
};

// The state of one stream and nothing else. Its network must outlive it.
struct Stream {
  const StreamNetwork *network;
  int64_t step = 0;
  std::vector<LazyState> layers;
  ShownSpikes shown;

  explicit Stream(const StreamNetwork *n) : network(n) {
    for (const LazyLayer &layer : n->layers) layers.push_back(layer.silence());
  }
};

// Runs f, and gives what it gives; `failed` where memory runs out.
template <class T, class F>
inline T guarded(T failed, F f) {
  try {
    return f();
  } catch (const std::bad_alloc &) {
    return failed;
  }
}

}  // namespace snn

// What a step may answer.
enum { SNN_STREAM_DONE = 0, SNN_STREAM_REFUSED = 1, SNN_STREAM_NO_MEMORY = 2 };

SNN_API void *snn_stream_network_new(const snn_stream_coding *coding, int32_t layers,
                                     const snn_stream_synapses *synapses, const snn_stream_lif *neurons) {
  return snn::guarded<void *>(nullptr, [&] {
    auto network = std::make_unique<snn::StreamNetwork>();
    network->coding = *coding;
    for (int i = 0; i < layers; i++) network->layers.emplace_back(synapses[i], neurons[i]);
    return network.release();
  });
}

SNN_API void snn_stream_network_free(void *network) { delete static_cast<snn::StreamNetwork *>(network); }

SNN_API void *snn_stream_new(const void *network) {
  return snn::guarded<void *>(nullptr, [&] { return new snn::Stream(static_cast<const snn::StreamNetwork *>(network)); });
}

SNN_API void snn_stream_free(void *stream) { delete static_cast<snn::Stream *>(stream); }

// Bytes of a stream's state, beside its lists of positions that are awake.
SNN_API int64_t snn_stream_bytes(const void *network) {
  size_t bytes = 0;
  for (const auto &layer : static_cast<const snn::StreamNetwork *>(network)->layers) bytes += layer.state_bytes();
  return int64_t(bytes);
}

SNN_API int64_t snn_stream_step(const void *stream) { return static_cast<const snn::Stream *>(stream)->step; }

// Takes the events of the next step. `readout`: membranes of the last layer, or its spikes, [channels][positions], the
// same array in every step of a stream and zeros at first; `counts`: spikes of every layer. SNN_STREAM_REFUSED, with
// nothing changed, where an event is of another step or outside the input.
SNN_API int32_t snn_stream_tick(void *stream, const snn_event *events, int64_t n, float *readout, int64_t *counts) {
  return snn::guarded<int32_t>(SNN_STREAM_NO_MEMORY, [&] {
    auto &s = *static_cast<snn::Stream *>(stream);
    auto &scratch = snn::stream_scratch();
    snn::Active *from = &scratch.active[0], *to = &scratch.active[1];
    if (!scratch.input.active(s.network->coding, s.step, events, n, from)) return int32_t(SNN_STREAM_REFUSED);
    for (size_t i = 0; i < s.layers.size(); i++, std::swap(from, to)) {
      s.network->layers[i].step(&s.layers[i], s.step, *from, &scratch.arrivals, to);
      counts[i] = to->count();
    }
    s.step++;
    const snn::LazyLayer &last = s.network->layers.back();
    if (last.spiking())
      s.shown.write(*from, last.synapses.is().out_w, last.synapses.positions(), readout);
    else
      last.membranes(s.layers.back(), readout);
    return int32_t(SNN_STREAM_DONE);
  });
}

// Currents and membranes of every layer as a dense step would hold them, [channels][positions] each, into arrays of
// zeros; a layer without current decay leaves its currents zero. Returns the steps so far.
SNN_API int64_t snn_stream_state_get(void *stream, float *const *u, float *const *v) {
  auto &s = *static_cast<snn::Stream *>(stream);
  for (size_t i = 0; i < s.layers.size(); i++) {
    const snn::LazyLayer &layer = s.network->layers[i];
    layer.settle(&s.layers[i], s.step);
    layer.get(s.layers[i], u[i], v[i]);
  }
  return s.step;
}

SNN_API void snn_stream_state_set(void *stream, int64_t step, const float *const *u, const float *const *v) {
  auto &s = *static_cast<snn::Stream *>(stream);
  s.step = step;
  for (size_t i = 0; i < s.layers.size(); i++) s.network->layers[i].set(&s.layers[i], step, u[i], v[i]);
}
