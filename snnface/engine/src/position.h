// The neurons of one chunk at one position, through a block of steps: forward, again for their membranes, and back.
#pragma once
#include "layer.h"
#include "patches.h"

namespace snn {

// What a chunk's neurons are: decays, threshold and reset; and how near a threshold a compact surrogate reaches.
template <int G>
struct Neurons {
  Group alpha[G], beta[G], threshold[G], reach;
  bool subtract;

  Neurons(const Layer &l, int chunk) : reach(splat(1.f / l.is.slope)), subtract(l.is.subtract) {
    for (int g = 0; g < G; g++) {
      const int c = chunk * l.width + g * GROUP;
      alpha[g] = load(&l.alpha[c]), beta[g] = load(&l.beta[c]), threshold[g] = load(&l.threshold[c]);
    }
  }
};

// Sum of the listed rows of weights; in four parts, so that additions do not wait for one another.
template <int G, bool VALUED>
SNN_INLINE void gather(const float *weight, const Row<VALUED> *row, const float *value, uint32_t begin, uint32_t end,
                       Group *sum) {
  constexpr int W = G * GROUP;
  Group a[4][G];
  for (int q = 0; q < 4; q++)
    for (int g = 0; g < G; g++) a[q][g] = splat(0.f);
  for (uint32_t i = begin; i < end; i += 4)
    for (int q = 0; q < 4; q++) {
      const float *w = weight + size_t(row[i + q]) * W;
      for (int g = 0; g < G; g++) {
        if constexpr (VALUED)
          a[q][g] = multiply_add(splat(value[i + q]), load(w + g * GROUP), a[q][g]);
        else
          a[q][g] = a[q][g] + load(w + g * GROUP);
      }
    }
  for (int g = 0; g < G; g++) sum[g] = (a[0][g] + a[1][g]) + (a[2][g] + a[3][g]);
}

// What a run of neurons writes down besides, where not null.
struct Notes {
  Word *spikes = nullptr;     // per step and group, `stride` apart
  int stride = 0;
  Group *counts = nullptr;    // spikes by channel, added to
  float *membrane = nullptr;  // v before the reset, [STEPS][width]
  float *current = nullptr;   // u likewise
  Word *near = nullptr;       // [STEPS][G]: which neurons are within reach of their threshold
  float *distance = nullptr;  // v − θ of those, by step and channel
};

// Runs steps from … to of a block. Reads (unless `fresh`: silent till now) and writes the states u (nullptr without
// currents) and v, one chunk wide. Returns how many distances were written.
template <int G, bool VALUED, bool CURRENT>
SNN_INLINE int forward_position(const Neurons<G> &n, const float *weight, const uint32_t *first, const Row<VALUED> *row,
                                const float *value, int from, int to, bool fresh, float *u, float *v,
                                const Notes &notes) {
  constexpr int W = G * GROUP;
  Group us[G], vs[G];
  for (int g = 0; g < G; g++) {
    us[g] = CURRENT && !fresh ? load(u + g * GROUP) : splat(0.f);
    vs[g] = fresh ? splat(0.f) : load(v + g * GROUP);
  }
  const Group one = splat(1.f);
  float *distance = notes.distance;
  for (int t = from; t < to; t++) {
    Group x[G];
    gather<G, VALUED>(weight, row, value, first[t], first[t + 1], x);
    for (int g = 0; g < G; g++) {
      us[g] = CURRENT ? multiply_add(n.alpha[g], us[g], x[g]) : x[g];
      const Group m = multiply_add(n.beta[g], vs[g], us[g]);
      const Word fired = greater(m, n.threshold[g]);
      if (notes.membrane) store(notes.membrane + t * W + g * GROUP, m);
      if (CURRENT && notes.current) store(notes.current + t * W + g * GROUP, us[g]);
      if (notes.spikes) notes.spikes[t * notes.stride + g] = fired;
      if (notes.counts) notes.counts[g] = notes.counts[g] + where(fired, one);
      if (notes.near) {
        const Group d = m - n.threshold[g];
        const Word near = greater(n.reach, absolute(d));
        notes.near[t * G + g] = near;
        distance += pack(near, d, distance);
      }
      vs[g] = n.subtract ? m - where(fired, n.threshold[g]) : where(Word(~fired), m);
    }
  }
  for (int g = 0; g < G; g++) {
    if (CURRENT) store(u + g * GROUP, us[g]);
    store(v + g * GROUP, vs[g]);
  }
  return int(distance - notes.distance);
}

// Surrogate derivatives of d = v − θ (snnface/surrogate.py).
struct FastSigmoid {
  Group slope;
  Group operator()(Group d) const {
    const Group r = reciprocal(multiply_add(slope, absolute(d), splat(1.f)));
    return r * r;
  }
};
struct Atan {
  Group slope;
  explicit Atan(Group s) : slope(s * splat(1.57079632679f)) {}
  Group operator()(Group d) const {
    const Group z = slope * d;
    return reciprocal(multiply_add(z, z, splat(1.f)));
  }
};
struct Triangle {
  Group slope;
  Group operator()(Group d) const {
    const Group r = splat(1.f) - slope * absolute(d);
    return where(greater(r, splat(0.f)), r);
  }
};

// Gradients of a chunk's decays and threshold.
template <int G>
struct Learned {
  Group alpha[G], beta[G], threshold[G];
};

// What the way back carries from later steps and blocks: gradients of u, and of v after its reset.
template <int G>
struct Carry {
  Group gu[G], after[G];

  // `last`: there are no later blocks.
  SNN_INLINE Carry(bool last, const float *u, const float *v) {
    for (int i = 0; i < G; i++) {
      gu[i] = last ? splat(0.f) : load(u + i * GROUP);
      after[i] = last ? splat(0.f) : load(v + i * GROUP);
    }
  }
  // No gradient crosses a step that is a multiple of `truncate` (0: all do).
  SNN_INLINE void cross(int step, int truncate) {
    if (truncate && step % truncate == 0)
      for (int i = 0; i < G; i++) gu[i] = splat(0.f), after[i] = splat(0.f);
  }
  SNN_INLINE void keep(float *u, float *v) const {
    for (int i = 0; i < G; i++) store(u + i * GROUP, gu[i]), store(v + i * GROUP, after[i]);
  }
};

// From the gradient of the spikes (in `g`, steps `stride` apart, unless there is none; and `rate`, the same for every spike
// of a channel) to that of the synaptic input (in `g`).
// Equations in snnface/neuron.py; `gu_carry` and `after_carry` hand a Carry on to earlier blocks.
// Where `learned` is given, `current` and the states u0, v0 before step `from` are read too.
template <int G, class Slope>
SNN_INLINE void backward_position(const Neurons<G> &n, const Slope &slope, bool spiking, bool detach, int from, int to,
                                  int begin, int truncate, bool last, const float *membrane, const float *current,
                                  const float *u0, const float *v0, const Group *rate, bool given, float *g, int stride,
                                  float *gu_carry, float *after_carry, Learned<G> *learned) {
  constexpr int W = G * GROUP;
  Carry<G> carry(last, gu_carry, after_carry);
  Group *const gu = carry.gu, *const after = carry.after;
  for (int t = to - 1; t >= from; t--) {
    carry.cross(begin + t + 1, truncate);
    for (int i = 0; i < G; i++) {
      const int at = t * W + i * GROUP;
      const Group m = load(membrane + at);
      float *here = g + size_t(t) * stride + i * GROUP;
      Group gv = given ? load(here) + rate[i] : rate[i];
      if (spiking) {
        const Word fired = greater(m, n.threshold[i]);
        const Group reset = n.subtract ? n.threshold[i] : m;
        if (!detach) gv = gv - after[i] * reset;
        gv = gv * slope(m - n.threshold[i]);
        if (learned) {
          learned->threshold[i] = learned->threshold[i] - gv;
          if (n.subtract) learned->threshold[i] = learned->threshold[i] - where(fired, after[i]);
        }
        gv = gv + (n.subtract ? after[i] : where(Word(~fired), after[i]));
      } else {
        gv = gv + after[i];
      }
      gu[i] = multiply_add(n.alpha[i], gu[i], gv);
      if (learned) {
        Group u, v;
        if (t > from) {
          const Group before = load(membrane + at - W);
          const Word fired = spiking ? greater(before, n.threshold[i]) : Word(0);
          v = n.subtract ? before - where(fired, n.threshold[i]) : where(Word(~fired), before);
          u = current ? load(current + at - W) : splat(0.f);
        } else {
          v = load(v0 + i * GROUP);
          u = u0 ? load(u0 + i * GROUP) : splat(0.f);
        }
        learned->alpha[i] = multiply_add(gu[i], u, learned->alpha[i]);
        learned->beta[i] = multiply_add(gv, v, learned->beta[i]);
      }
      store(here, gu[i]);
      after[i] = n.beta[i] * gv;
    }
  }
  carry.keep(gu_carry, after_carry);
}

// The same for a surrogate that reaches no further than the neurons `near` their threshold: `distance` and `given` (the
// gradients of their spikes; nullptr: none) end with those of step `to`.
template <int G>
SNN_INLINE void backward_near(const Neurons<G> &n, Group slope, bool detach, int from, int to, int begin, int truncate,
                              bool last, const Word *near, const float *distance, const float *given, const Group *rate,
                              const Word *spikes, int words, float *g, int stride, float *gu_carry, float *after_carry) {
  Carry<G> carry(last, gu_carry, after_carry);
  Group *const gu = carry.gu, *const after = carry.after;
  for (int t = to - 1; t >= from; t--) {
    carry.cross(begin + t + 1, truncate);
    for (int i = G - 1; i >= 0; i--) {
      const Word bits = near[t * G + i], silent = Word(~spikes[t * words + i]);
      const int count = __builtin_popcount(bits);
      distance -= count;
      const Group d = unpack(bits, distance);
      Group gv = rate[i];
      if (given) gv = gv + unpack(bits, given -= count);
      if (!detach) gv = gv - after[i] * (n.subtract ? n.threshold[i] : d + n.threshold[i]);
      gv = where(bits, gv * (splat(1.f) - slope * absolute(d)));
      gv = gv + (n.subtract ? after[i] : where(silent, after[i]));
      gu[i] = multiply_add(n.alpha[i], gu[i], gv);
      store(g + size_t(t) * stride + i * GROUP, gu[i]);
      after[i] = n.beta[i] * gv;
    }
  }
  carry.keep(gu_carry, after_carry);
}

// Adds the gradient of the synaptic input, `g` [steps][stride], to the rows of weights [row][GROUP] that were active:
// one group at a time, whose weights stay in the first-level cache.
template <bool VALUED>
SNN_INLINE void scatter(const float *g, int stride, const uint32_t *first, const Row<VALUED> *row, const float *value,
                        int from, int to, float *weight) {
  for (int t = from; t < to; t++) {
    const Group x = load(g + size_t(t) * stride);
    if (all_zero(x)) continue;
    for (uint32_t i = first[t]; i < first[t + 1]; i += 4)
      for (int q = 0; q < 4; q++) {
        float *w = weight + size_t(row[i + q]) * GROUP;
        store(w, VALUED ? multiply_add(splat(value[i + q]), x, load(w)) : load(w) + x);
      }
  }
}

}  // namespace snn
