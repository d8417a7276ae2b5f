// Any integer network on any integer input, in Lava's timing or without its lag (hardware/integers/fixed_point.py), bit for bit:
// what a stream cannot say besides, delays and recurrent weights, travels on wires.
#pragma once
#include <memory>

#include "integer_stream.h"

// Single synapses, source by source: those of source j are first[j] … first[j + 1]. Each adds `weight` at `output`
// (of a layer with one position) `delay` steps later. first: nullptr where there are none.
extern "C" struct snn_integer_wires {
  const int64_t *first;
  const int32_t *delay, *output, *weight;
  int32_t sources, longest;
};

namespace snn {

class Wires {
 public:
  explicit Wires(const snn_integer_wires &w) : longest(w.longest) {
    if (!w.first) return;
    first_.assign(w.first, w.first + w.sources + 1);
    for (int64_t i = 0; i < w.first[w.sources]; i++) wires_.push_back({w.delay[i], w.output[i], w.weight[i]});
  }

  const int32_t longest;
  bool any() const { return !first_.empty(); }

  // f(delay, output, what arrives) for all that `from` sends; sources count channel by channel.
  template <class F>
  void each(const Active &from, int width, int positions, F f) const {
    for (size_t i = 0; i < from.places(); i++) {
      const Place p = from.place(i);
      const Active::List list = from.at(p);
      for (uint32_t j = list.first; j < list.first + list.count; j++) {
        const size_t source = size_t(from.channel[j]) * positions + size_t(p.y) * width + p.x;
        const int32_t worth = from.valued ? int32_t(from.value[j]) : 1;
        for (int64_t k = first_[source]; k < first_[source + 1]; k++)
          f(wires_[k].delay, wires_[k].output, wires_[k].weight * worth);
      }
    }
  }

 private:
  struct Wire {
    int32_t delay, output, weight;
  };
  std::vector<int64_t> first_;
  std::vector<Wire> wires_;
};

// One layer of a run: its state, what it sent in its last step, and what is on its way to it.
class RunLayer {
 public:
  Active sent;
  IntegerLayer::State state;

  RunLayer(const IntegerLayer *layer, const snn_integer_wires &in, const snn_integer_wires &own)
      : state(layer->silence()), layer_(layer), in_(in), own_(own),
        slots_(in_.any() || own_.any() ? std::max(in_.longest, own_.longest) + 1 : 0),
        coming_(size_t(slots_) * layer->synapses.width) {}

  void step(int64_t time, const Active &from, Arrivals *arrivals) {
    const snn_stream_synapses &is = layer_->synapses.is();
    if (in_.any())
      in_.each(from, is.in_w, is.in_h * is.in_w, [&](int delay, int o, int32_t a) { slot(time + delay)[o] += a; });
    int32_t *now = slots_ ? slot(time) : nullptr;
    layer_->step(&state, in_.any() ? nothing_ : from, arrivals, &sent, now);
    if (now) std::fill_n(now, layer_->synapses.width, 0);
    if (own_.any()) own_.each(sent, 1, 1, [&](int delay, int o, int32_t a) { slot(time + delay)[o] += a; });
  }
  void rest() { layer_->rest(&state); }

  // Row `t` of arrays [steps][channels][positions]; u and v may be nullptr.
  void write(int64_t t, uint8_t *s, int32_t *u, int32_t *v) const {
    const Synapses &synapses = layer_->synapses;
    const size_t row = size_t(t) * synapses.is().out_c * synapses.positions();
    sent.each(synapses.is().out_w, synapses.positions(), [&](size_t j) { s[row + j] = 1; });
    if (u) layer_->get(state, u + row, v + row);
  }

 private:
  const IntegerLayer *layer_;
  Wires in_, own_;
  int slots_;
  Buffer<int32_t> coming_;  // [slots][width]: what arrives in the step that is a slot's number modulo slots
  Active nothing_;

  int32_t *slot(int64_t time) { return &coming_[size_t(time % slots_) * layer_->synapses.width]; }
};

struct IntegerRun {
  const IntegerNetwork *network;
  bool lag;
  int64_t time = 0;
  Active input;
  Arrivals arrivals;
  std::vector<std::unique_ptr<RunLayer>> layers;
};

// Input of steps: what is not zero, sorted by step, position and channel.
struct Sparse {
  const int64_t *first;  // [steps + 1]
  const int32_t *position, *channel;
  const float *value;

  void read(int64_t step, const snn_stream_synapses &is, Active *to) const {
    bool valued = false;
    for (int64_t i = first[step]; i < first[step + 1]; i++) valued |= value[i] != 1;
    to->begin(is.in_h, is.in_w, valued);
    for (int64_t i = first[step]; i < first[step + 1];) {
      uint32_t *list = to->room(is.in_c), n = 0;
      const int32_t p = position[i];
      for (; i < first[step + 1] && position[i] == p; i++, n++) {
        list[n] = channel[i];
        if (valued) to->value[to->count() + n] = value[i];
      }
      to->close({p / is.in_w, p % is.in_w}, n);
    }
  }
};

}  // namespace snn

// A run of a network whose layers all spike, which must outlive it. With `lag` a layer sees what the one before it sent a
// step earlier. `in`, `own`: of every layer the wires from its input (its other synapses then do nothing) and from its
// own spikes. As in a stream, no neuron's sum may ever reach 2^23.
SNN_API void *snn_integer_run_new(const void *network, int32_t lag, const snn_integer_wires *in,
                                  const snn_integer_wires *own) {
  return snn::guarded<void *>(nullptr, [&] {
    auto run = std::make_unique<snn::IntegerRun>();
    run->network = static_cast<const snn::IntegerNetwork *>(network), run->lag = lag;
    for (const snn::IntegerLayer &layer : run->network->layers) {
      run->layers.push_back(std::make_unique<snn::RunLayer>(&layer, *in++, *own++));
    }
    return run.release();
  });
}

SNN_API void snn_integer_run_free(void *run) { delete static_cast<snn::IntegerRun *>(run); }

// Goes on for some steps. `interval`, `offset`: layer i rests before every step t with t ≡ offset + i modulo interval
// (0: never). `spikes`: of every layer an array of zeros [steps][channels][positions] that gets ones; `u`, `v` alike,
// or nullptr.
SNN_API int32_t snn_integer_run_steps(void *handle, int64_t steps, const int64_t *first, const int32_t *position,
                                      const int32_t *channel, const float *value, int64_t interval, int64_t offset,
                                      uint8_t *const *spikes, int32_t *const *u, int32_t *const *v) {
  return snn::guarded<int32_t>(SNN_STREAM_NO_MEMORY, [&] {
    auto &run = *static_cast<snn::IntegerRun *>(handle);
    const snn::Sparse sparse{first, position, channel, value};
    const int layers = int(run.layers.size());
    auto read = [&](int64_t t) { sparse.read(t, run.network->layers.front().synapses.is(), &run.input); };
    for (int64_t t = 0; t < steps; t++, run.time++) {
      if (!run.lag) read(t);
      // With lag the last layer goes first: before the one that it listens to has spoken again.
      for (int k = 0; k < layers; k++) {
        const int i = run.lag ? layers - 1 - k : k;
        snn::RunLayer &layer = *run.layers[i];
        if (interval && (run.time - offset - i) % interval == 0) layer.rest();
        layer.step(run.time, i ? run.layers[i - 1]->sent : run.input, &run.arrivals);
        layer.write(t, spikes[i], u[i], v[i]);
      }
      if (run.lag) read(t);
    }
    return int32_t(SNN_STREAM_DONE);
  });
}

// How often currents of each layer have wrapped so far.
SNN_API void snn_integer_run_wraps(const void *run, int64_t *wraps) {
  for (const auto &layer : static_cast<const snn::IntegerRun *>(run)->layers) *wraps++ = layer->state.wraps;
}
