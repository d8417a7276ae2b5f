// Streaming of a quantised network in the chip's arithmetic (hardware/integers/fixed_point.py), bit for bit.
//
// Decay with truncation has no closed form, so a position's neurons are computed in every step until they are at
// rest (u = v = 0), which truncation reaches. Synapses work where events and spikes are. Sums of weights stay below
// 2^24 and are exact in float.
#pragma once
#include "stream.h"

// Neurons of one layer. Each parameter is [out_c] or, where `by_position`, [out_c][out_h][out_w]; in the order
// 4096 − iDecay, 4096 − vDecay, threshold, bias: the latter two as they stand, before the shift by 6 bits.
extern "C" struct snn_integer_neurons {
  int32_t spiking;
  int32_t by_position[4];
  const int32_t *parameter[4];
};

namespace snn {

constexpr int32_t STATE_LIMIT = 1 << 23, STATE_SHIFT = 6;

typedef uint32_t vuint __attribute__((vector_size(LANES * 4)));

// Truncation of m·keep / 4096 towards zero, in 32 bits: high and low 12 bits apart.
SNN_INLINE vint decayed(vint m, vint keep) {
  const vint sign = m < 0;
  const vuint size = (vuint)((m ^ sign) - sign), k = (vuint)keep;
  const vint kept = (vint)((size >> 12) * k + ((size & 4095) * k >> 12));
  return (kept ^ sign) - sign;
}

// One bit for each lane of a mask.
SNN_INLINE Word bits_of(vint mask) {
  Group g = splat(0.f);
  g.part[0] = __builtin_convertvector(-mask, vfloat);
  return greater(g, splat(0.f));
}

SNN_INLINE vint chosen(vint mask, vint yes, vint no) { return (yes & mask) | (no & ~mask); }

class IntegerLayer {
 public:
  Synapses synapses;

  IntegerLayer(const snn_stream_synapses &s, const snn_integer_neurons &n) : synapses(s), spiking_(n.spiking) {
    for (int i = 0; i < PARAMETERS; i++) fill(i, n);
    const Buffer<int32_t> &threshold = parameter_[THRESHOLD], &bias = parameter_[BIAS];
    always_ = false;
    for (size_t j = 0; j < threshold.size(); j++) always_ |= threshold[j] < 0;
    for (size_t j = 0; j < bias.size(); j++) always_ |= bias[j] != 0;
  }

  bool spiking() const { return spiking_; }
  size_t state_bytes() const { return synapses.neurons() * 2 * sizeof(int32_t) + synapses.positions(); }

  struct State {
    Buffer<int32_t> u, v;
    Places busy;        // positions that the next step computes whatever comes
    int64_t wraps = 0;  // how often a current wrapped
    int32_t peak = 0;   // largest magnitude of a readout's membrane, before saturation
  };

  State silence() const {
    State s;
    s.u = Buffer<int32_t>(synapses.neurons());
    s.v = Buffer<int32_t>(synapses.neurons());
    s.busy = Places(synapses.is().out_h, synapses.is().out_w);
    wake(&s);
    return s;
  }

  // One step: spikes are written to `spikes`, which may not be `from`. `more`: sums [width] that arrive by other ways at
  // a layer of one position, or nullptr.
  void step(State *s, const Active &from, Arrivals *arrivals, Active *spikes, const int32_t *more = nullptr) const {
    spikes->begin(synapses.is().out_h, synapses.is().out_w, false);
    synapses.reach(from, &arrivals->reached);
    if (more) s->busy.add({0, 0});
    Watch watch{};
    s->busy.sweep(arrivals->reached, [&](Place at, bool reached) {
      const bool busy = from.valued ? advance<true>(s, at, reached, from, arrivals, more, spikes, &watch)
                                    : advance<false>(s, at, reached, from, arrivals, more, spikes, &watch);
      return busy || always_;
    });
    for (int j = 0; j < LANES; j++) {
      s->wraps += watch.wraps[j];
      s->peak = std::max<int32_t>(s->peak, watch.peak[j]);
    }
  }

  void get(const State &s, int32_t *u, int32_t *v) const {
    channels_first(s.u.get(), synapses.positions(), width(), synapses.is().out_c, u);
    channels_first(s.v.get(), synapses.positions(), width(), synapses.is().out_c, v);
  }
  void set(State *s, const int32_t *u, const int32_t *v) const {
    channels_last(u, synapses.positions(), width(), synapses.is().out_c, s->u.get());
    channels_last(v, synapses.positions(), width(), synapses.is().out_c, s->v.get());
    s->wraps = s->peak = 0;
    wake(s);
  }
  // Currents and voltages are zero from here on; what was counted stays.
  void rest(State *s) const {
    s->u.clear(), s->v.clear();
    wake(s);
  }

 private:
  // What a step counts, lane by lane.
  struct Watch {
    vint wraps, peak;
  };
  enum { KEEP_U, KEEP_V, THRESHOLD, BIAS, PARAMETERS };
  Buffer<int32_t> parameter_[PARAMETERS];  // [positions or 1][width]
  size_t stride_[PARAMETERS];              // from one position to the next
  bool spiking_, always_;                  // whether no position ever comes to rest

  int width() const { return synapses.width; }

  void fill(int i, const snn_integer_neurons &n) {
    const int positions = n.by_position[i] ? synapses.positions() : 1, channels = synapses.is().out_c;
    stride_[i] = n.by_position[i] ? width() : 0;
    parameter_[i] = Buffer<int32_t>(size_t(positions) * width());
    channels_last(n.parameter[i], positions, width(), channels, parameter_[i].get());
    if (i == THRESHOLD || i == BIAS)
      for (size_t j = 0; j < parameter_[i].size(); j++) parameter_[i][j] *= 1 << STATE_SHIFT;
  }

  // One step of the neurons of a position; whether any of them is not at rest.
  template <bool VALUED>
  bool advance(State *s, Place place, bool reached, const Active &from, Arrivals *arrivals, const int32_t *more,
               Active *spikes, Watch *watch) const {
    arrivals->count = 0;
    if (reached) synapses.list<VALUED>(from, place, arrivals);
    const int p = synapses.position(place);
    const size_t at = size_t(p) * width();
    uint32_t *list = spikes->room(width());
    int fired = 0;
    vint any{};
    synapses.each_sum<VALUED>(*arrivals, [&](int c, Group arrived) __attribute__((always_inline)) {
      Group spike;
      for (int i = 0; i < PARTS; i++) {
        const int lane = c + i * LANES;
        auto parameter = [&](int which) {
          return (vint) * (const vint_any *)&parameter_[which][p * stride_[which] + lane];
        };
        auto *us = (vint_any *)&s->u[at + lane], *vs = (vint_any *)&s->v[at + lane];
        vint sum = __builtin_convertvector(arrived.part[i], vint);
        if (more) sum += *(const vint_any *)(more + lane);
        vint u = (vint)((vuint)decayed(*us, parameter(KEEP_U)) + ((vuint)sum << STATE_SHIFT));
        const vint over = u > STATE_LIMIT, under = u <= -STATE_LIMIT;
        u -= (over & (2 * STATE_LIMIT)) - (under & (2 * STATE_LIMIT));
        watch->wraps -= over + under;
        vint v = (vint)((vuint)decayed(*vs, parameter(KEEP_V)) + (vuint)u + (vuint)parameter(BIAS));
        const vint size = chosen(v < 0, (vint)-(vuint)v, v);
        watch->peak = chosen(size > watch->peak, size, watch->peak);
        v = chosen(v >= STATE_LIMIT, vint{} + (STATE_LIMIT - 1), v);
        v = chosen(v <= -STATE_LIMIT, vint{} + (1 - STATE_LIMIT), v);
        const vint beyond = v > parameter(THRESHOLD);
        v &= ~beyond;
        spike.part[i] = __builtin_convertvector(-beyond, vfloat);
        any |= u | v;
        *us = u, *vs = v;
      }
      if (spiking_) fired += list_bits(greater(spike, splat(0.f)), uint32_t(c), list + fired);
    });
    spikes->close(place, uint32_t(fired));
    return bits_of(any != 0) != 0;
  }

  void wake(State *s) const {
    s->busy.clear();
    for (int y = 0, p = 0; y < synapses.is().out_h; y++)
      for (int x = 0; x < synapses.is().out_w; x++, p++) {
        int32_t any = always_;
        for (int c = 0; c < width(); c++) any |= s->u[size_t(p) * width() + c] | s->v[size_t(p) * width() + c];
        if (any) s->busy.add({y, x});
      }
  }
};

struct IntegerNetwork {
  snn_stream_coding coding;
  std::vector<IntegerLayer> layers;
};

// The state of one stream and nothing else. Its network must outlive it.
struct IntegerStream {
  const IntegerNetwork *network;
  int64_t step = 0;
  std::vector<IntegerLayer::State> layers;
  ShownSpikes shown;

  explicit IntegerStream(const IntegerNetwork *n) : network(n) {
    for (const IntegerLayer &layer : n->layers) layers.push_back(layer.silence());
  }
};

}  // namespace snn

// The weights are whole numbers of which no neuron's sum ever reaches 2^23.
SNN_API void *snn_integer_network_new(const snn_stream_coding *coding, int32_t layers,
                                      const snn_stream_synapses *synapses, const snn_integer_neurons *neurons) {
  return snn::guarded<void *>(nullptr, [&] {
    auto network = std::make_unique<snn::IntegerNetwork>();
    network->coding = *coding;
    for (int i = 0; i < layers; i++) network->layers.emplace_back(synapses[i], neurons[i]);
    return network.release();
  });
}

SNN_API void snn_integer_network_free(void *network) { delete static_cast<snn::IntegerNetwork *>(network); }

SNN_API void *snn_integer_new(const void *network) {
  return snn::guarded<void *>(nullptr,
                              [&] { return new snn::IntegerStream(static_cast<const snn::IntegerNetwork *>(network)); });
}

SNN_API void snn_integer_free(void *stream) { delete static_cast<snn::IntegerStream *>(stream); }

// Bytes of a stream's state, beside its lists of positions that are not at rest.
SNN_API int64_t snn_integer_bytes(const void *network) {
  size_t bytes = 0;
  for (const auto &layer : static_cast<const snn::IntegerNetwork *>(network)->layers) bytes += layer.state_bytes();
  return int64_t(bytes);
}

// As snn_stream_tick; payloads enter whole. `readout` holds membranes (or 0 and 1 of spikes). `spikes`: nullptr, or for
// every layer an array of zeros [channels][positions] that gets ones.
SNN_API int32_t snn_integer_tick(void *stream, const snn_event *events, int64_t n, int32_t *readout, int64_t *counts,
                                 uint8_t *const *spikes) {
  return snn::guarded<int32_t>(SNN_STREAM_NO_MEMORY, [&] {
    auto &s = *static_cast<snn::IntegerStream *>(stream);
    auto &scratch = snn::stream_scratch();
    snn::Active *from = &scratch.active[0], *to = &scratch.active[1];
    if (!scratch.input.active(s.network->coding, s.step, events, n, from)) return int32_t(SNN_STREAM_REFUSED);
    for (size_t i = 0; i < s.layers.size(); i++, std::swap(from, to)) {
      const snn::IntegerLayer &layer = s.network->layers[i];
      layer.step(&s.layers[i], *from, &scratch.arrivals, to);
      counts[i] = to->count();
      if (spikes)
        to->each(layer.synapses.is().out_w, layer.synapses.positions(), [&](size_t j) { spikes[i][j] = 1; });
    }
    s.step++;
    const snn::IntegerLayer &last = s.network->layers.back();
    const int positions = last.synapses.positions(), channels = last.synapses.is().out_c;
    if (last.spiking())
      s.shown.write(*from, last.synapses.is().out_w, positions, readout);
    else
      snn::channels_first(s.layers.back().v.get(), positions, last.synapses.width, channels, readout);
    return int32_t(SNN_STREAM_DONE);
  });
}

// Since the stream began or its state was set: how often currents wrapped in each layer, and the largest magnitude
// of the last layer's membranes before they saturate.
SNN_API int32_t snn_integer_range(const void *stream, int64_t *wraps) {
  const auto &s = *static_cast<const snn::IntegerStream *>(stream);
  for (size_t i = 0; i < s.layers.size(); i++) wraps[i] = s.layers[i].wraps;
  return s.layers.back().peak;
}

// Currents and voltages of every layer, [channels][positions] each. Returns the steps so far.
SNN_API int64_t snn_integer_state_get(void *stream, int32_t *const *u, int32_t *const *v) {
  const auto &s = *static_cast<const snn::IntegerStream *>(stream);
  for (size_t i = 0; i < s.layers.size(); i++) s.network->layers[i].get(s.layers[i], u[i], v[i]);
  return s.step;
}

SNN_API void snn_integer_state_set(void *stream, int64_t step, const int32_t *const *u, const int32_t *const *v) {
  auto &s = *static_cast<snn::IntegerStream *>(stream);
  s.step = step;
  for (size_t i = 0; i < s.layers.size(); i++) s.network->layers[i].set(&s.layers[i], u[i], v[i]);
}
