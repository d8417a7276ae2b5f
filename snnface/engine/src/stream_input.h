// The input of a stream: the events of one step as active channels of pixels, each with its value.
#pragma once
#include <cmath>
#include <vector>

#include "stream_active.h"

// How a network takes events: step k holds k·step < t ≤ (k + 1)·step, the first one t = 0 too. An event counts
// exp(−(end of step − t)/τ). mode 0: as it is; 1: min(payload_max, round(payload_one·sum)) of a pixel and polarity,
// divided by `unit`; 2: one where there is an event.
extern "C" struct snn_stream_coding {
  int32_t height, width, mode, payload_one, payload_max, unit;
  int64_t step_us;
  double tau_us;
};

// One event, laid out as snnface.events.EVENT_DTYPE.
extern "C" struct __attribute__((packed)) snn_event {
  int64_t t;
  uint16_t x, y;
  uint8_t p;
};

namespace snn {

// Adds up events by pixel and polarity. Keeps nothing between steps but memory: one serves all streams of a thread.
class InputSums {
 public:
  // False, with nothing done, where an event is of another step or outside the input.
  bool active(const snn_stream_coding &c, int64_t step, const snn_event *events, int64_t n, Active *out) {
    const int64_t start = step * c.step_us, end = start + c.step_us;
    for (int64_t i = 0; i < n; i++) {
      const snn_event e = events[i];
      if (e.t < start || (e.t == start && step) || e.t > end || e.x >= c.width || e.y >= c.height) return false;
    }
    for (size_t size = sums_.size(), wanted = size_t(2) * c.height * c.width; size < wanted; size++)
      sums_.push_back(UNTOUCHED);
    pixels_.clear();
    for (int64_t i = 0; i < n; i++) {
      const snn_event e = events[i];
      double *sum = sums_of(c, {e.y, e.x});
      if (sum[0] < 0 && sum[1] < 0) pixels_.push_back({e.y, e.x});
      double &mine = sum[e.p != 0];
      mine = (mine < 0 ? 0 : mine) + (c.mode == 2 ? 1 : std::exp(double(e.t - end) / c.tau_us));
    }
    out->begin(c.height, c.width, true);
    for (Place pixel : pixels_) {
      uint32_t *channel = out->room(2), channels = 0;
      float *value = out->value.get() + out->count();
      for (int p = 0; p < 2; p++) {
        double &sum = sums_of(c, pixel)[p];
        if (sum < 0) continue;
        channel[channels] = p;
        value[channels++] = float(coded(c, sum));
        sum = UNTOUCHED;
      }
      out->close(pixel, channels);
    }
    return true;
  }

 private:
  static constexpr double UNTOUCHED = -1;
  std::vector<double> sums_;
  std::vector<Place> pixels_;

  double *sums_of(const snn_stream_coding &c, Place p) { return &sums_[2 * (size_t(p.y) * c.width + p.x)]; }

  static double coded(const snn_stream_coding &c, double sum) {
    if (c.mode == 2) return 1;
    if (c.mode == 0) return sum;
    return std::fmin(std::nearbyint(sum * c.payload_one), c.payload_max) / c.unit;
  }
};

}  // namespace snn
