// Event-exact input: a clip's events as cells of (row, step, column, polarity) with their summed age weights.
//
// An event enters step k = ceil(t / step) − 1 with weight exp(−(t_k − t) / τ), t_k = (k + 1)·step.
#pragma once
#include <algorithm>
#include <cmath>
#include <vector>

#include "layer.h"

namespace snn {

// Cells of one clip. Those of image row y and step t are first[y·steps + t] … first[y·steps + t + 1], by column.
struct Cells {
  std::vector<uint32_t> first;
  std::vector<uint32_t> place;  // x·2¹⁶ + p
  std::vector<float> value;
};

enum Mode { EXACT = 0, GRADED = 1, UNARY = 2 };

struct Coding {
  int64_t step_us;
  double tau_us;
  int mode, payload_one, payload_max;
};

inline float coded(double sum, const Coding &c) {
  if (c.mode == UNARY) return 1.f;
  if (c.mode == EXACT) return float(sum);
  return float(std::min(std::nearbyint(sum * c.payload_one), double(c.payload_max)) / c.payload_one);
}

// Events n of one clip, t in µs from its start; those after the last of `steps` are left out.
// With `given` the cells are ready: t is the step and given[i] the value.
inline Cells make_cells(const int64_t *t, const int64_t *x, const int64_t *y, const int64_t *p, const float *given,
                        int64_t n, const Coding &coding, int height, int steps) {
  Cells cells;
  cells.first.assign(size_t(height) * steps + 1, 0);
  auto step_of = [&](int64_t time) {
    return given ? time : std::max<int64_t>((time + coding.step_us - 1) / coding.step_us - 1, 0);
  };
  for (int64_t i = 0; i < n; i++) {
    const int64_t k = step_of(t[i]);
    if (k < steps) cells.first[size_t(y[i]) * steps + k + 1]++;
  }
  for (size_t j = 1; j < cells.first.size(); j++) cells.first[j] += cells.first[j - 1];
  struct Event {
    uint32_t place;
    double weight;
  };
  std::vector<Event> sorted(cells.first.back());
  std::vector<uint32_t> next(cells.first.begin(), cells.first.end() - 1);
  for (int64_t i = 0; i < n; i++) {
    const int64_t k = step_of(t[i]);
    if (k >= steps) continue;
    const double age = double((k + 1) * coding.step_us - t[i]);
    const double weight = given ? double(given[i]) : std::exp(-age / coding.tau_us);
    sorted[next[size_t(y[i]) * steps + k]++] = {uint32_t(x[i]) << 16 | uint32_t(p[i]), weight};
  }
  uint32_t kept = 0;
  for (size_t j = 0; j + 1 < cells.first.size(); j++) {
    Event *begin = sorted.data() + cells.first[j], *end = sorted.data() + cells.first[j + 1];
    std::stable_sort(begin, end, [](const Event &a, const Event &b) { return a.place < b.place; });
    cells.first[j] = kept;
    while (begin != end) {
      const uint32_t place = begin->place;
      double sum = 0;
      for (; begin != end && begin->place == place; begin++) sum += begin->weight;
      const float value = given ? float(sum) : coded(sum, coding);
      if (value == 0.f) continue;
      cells.place.push_back(place), cells.value.push_back(value);
      kept++;
    }
  }
  cells.first.back() = kept;
  return cells;
}

}  // namespace snn
