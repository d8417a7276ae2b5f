// What silent steps do to a neuron, in closed form, and whether it can spike in any of them.
//
// With no input, u ← α·u and v ← β·v + u give after n steps
//   u_n = α^n·u,   v_n = β^n·v + S_n·u,   S_n = Σ_{i=1..n} β^(n−i)·α^i
#pragma once
#include <algorithm>
#include <cfloat>
#include <cmath>

#include "layer.h"

namespace snn {

// Factors of a number of steps: u ← a·u, v ← b·v + s·u.
struct Factors {
  double a = 1, b = 1, s = 0;
  // This, then the other.
  Factors then(const Factors &o) const { return {a * o.a, b * o.b, o.b * s + o.s * a}; }
};

class Decay {
 public:
  // α, β: [channels]; both decays and factors are padded with zeros to whole groups.
  Decay(const double *alpha, const double *beta, int channels) {
    bool same = true;
    for (int c = 0; c < channels; c++) {
      same &= alpha[c] == alpha[0] && beta[c] == beta[0];
      current |= alpha[c] != 0;
    }
    // Where all channels are alike, one group of factors serves every group of neurons.
    columns_ = same ? GROUP : rounded(channels, GROUP);
    whole_ = same ? 0 : 1;
    rows_ = Buffer<float>(size_t(LEVELS + 1) * BASE * 3 * columns_);
    spans_ = Buffer<float>(size_t(SPANS + 1) * 3 * columns_);
    for (int c = 0; c < (same ? GROUP : channels); c++) fill(c, alpha[same ? 0 : c], beta[same ? 0 : c]);
  }

  bool current = false;  // whether any current outlives its step

  // n silent steps of one position: u [width] (nullptr where there are no currents), v [width].
  void silent(float *u, float *v, int width, int64_t n) const {
    n = std::min(n, LONGEST);
    for (int level = 0; n; level++, n /= BASE)
      if (n % BASE) apply(row(level, n % BASE), u, v, width);
  }

  // n silent steps, then the decays of one more step, whose input is still to come: u ← α·u, v ← β·v.
  void until(float *u, float *v, int width, int64_t n) const { apply(nearly_until(u, v, width, n), u, v, width); }

  // The same but for the factors that are returned, for `apply` to a group at a time.
  const float *nearly_until(float *u, float *v, int width, int64_t n) const {
    if (n >= BASE) silent(u, v, width, n / BASE * BASE);
    return row(LEVELS, n % BASE);
  }
  // To the states of channels c …; `u` nullptr where there are no currents.
  SNN_INLINE void apply(const float *factors, int c, Group *u, Group *v) const {
    const float *at = factors + whole_ * c;
    *v = load(at + columns_) * *v;
    if (!u) return;
    *v = *v + load(at + 2 * columns_) * *u;
    *u = load(at) * *u;
  }

  // Whether some channel's membrane may exceed `limit` [width] in a silent step to come: never wrongly false.
  bool restless(const float *u, const float *v, const float *limit, int width) const {
    if (!exceeds(SPANS, u, v, limit, width)) return false;
    for (int span = 0; span < SPANS; span++)
      if (exceeds(span, u, v, limit, width)) return true;
    return false;
  }

 private:
  static constexpr int BASE = 64, LEVELS = 5;
  // Twelve days of 1 ms steps: whatever float tells from a decay of 1 is zero by then.
  static constexpr int64_t LONGEST = (int64_t(1) << 30) - 1;
  // Spans of steps, each bounded as a whole, and one over all steps; the last ends nowhere.
  static constexpr int SPANS = 8, FAR = 1 << 12;
  static constexpr int64_t FIRST[SPANS + 1] = {1, 2, 3, 5, 9, 17, 33, 65, 1};
  static constexpr int64_t LAST[SPANS + 1] = {1, 2, 4, 8, 16, 32, 64, LONGEST, LONGEST};

  int columns_, whole_;
  Buffer<float> rows_;   // [level, and at LEVELS "until" for n < BASE][n][a, b, s][columns]
  Buffer<float> spans_;  // [span][β^first, β^last, largest S_n][columns]

  float *row(int level, int64_t n) const { return &rows_[size_t(level * BASE + n) * 3 * columns_]; }
  float *span(int i) const { return &spans_[size_t(i) * 3 * columns_]; }

  static float flushed(double x) { return x < FLT_MIN ? 0.f : x > 1e30 ? 1e30f : float(x); }
  void set(float *row, int c, double a, double b, double s) const {
    row[c] = flushed(a), row[columns_ + c] = flushed(b), row[2 * columns_ + c] = flushed(s);
  }

  void fill(int c, double alpha, double beta) {
    const Factors one{alpha, beta, alpha}, decays{alpha, beta, 0};
    Factors step = one;
    for (int level = 0; level < LEVELS; level++) {
      Factors f;
      for (int n = 0; n < BASE; n++, f = f.then(step)) {
        set(row(level, n), c, f.a, f.b, f.s);
        const Factors until = f.then(decays);
        if (level == 0) set(row(LEVELS, n), c, until.a, until.b, until.s);
      }
      step = f;
    }
    float peak[SPANS + 1];
    largest(one, peak);
    for (int i = 0; i <= SPANS; i++)
      set(span(i), c, std::pow(beta, double(FIRST[i])), std::pow(beta, double(LAST[i])), peak[i]);
  }

  // Largest S_n of each span. S rises to one peak and falls; where the peak is far away, the last span and the whole
  // take what S never reaches: it is below Σ α^i and below α·Σ β^i.
  static void largest(const Factors &one, float *peak) {
    double found[SPANS + 1] = {}, before = 0;
    Factors f = one;
    for (int64_t n = 1; n < FAR && (n <= FIRST[SPANS - 1] || f.s >= before); n++, f = f.then(one)) {
      for (int i = 0; i <= SPANS; i++)
        if (FIRST[i] <= n && n <= LAST[i]) found[i] = std::max(found[i], f.s);
      before = f.s;
    }
    if (f.s >= before) found[SPANS - 1] = found[SPANS] = one.a / std::max(1 - std::min(one.a, one.b), DBL_MIN);
    for (int i = 0; i <= SPANS; i++) peak[i] = flushed(found[i]);
  }

  SNN_INLINE void apply(const float *f, float *u, float *v, int width) const {
    for (int c = 0; c < width; c += GROUP) {
      Group us = u ? load(u + c) : splat(0.f), vs = load(v + c);
      apply(f, c, u ? &us : nullptr, &vs);
      if (u) store(u + c, us);
      store(v + c, vs);
    }
  }

  // v_n ≤ max(β^first·v, β^last·v) + max(0, u)·largest S_n, for every n of a span.
  SNN_INLINE bool exceeds(int i, const float *u, const float *v, const float *limit, int width) const {
    const float *f = span(i);
    Word any = 0;
    for (int c = 0; c < width; c += GROUP) {
      const float *at = f + whole_ * c;
      const Group membrane = load(v + c), bound = load(limit + c);
      Group flow = splat(0.f);
      if (u) {
        const Group now = load(u + c);
        flow = where(greater(now, flow), now) * load(at + 2 * columns_);
      }
      any |= greater(load(at) * membrane + flow, bound) | greater(load(at + columns_) * membrane + flow, bound);
    }
    return any;
  }
};

}  // namespace snn
