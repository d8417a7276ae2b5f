// The input of a stream: the events of one step as active channels of pixels, each with its value.
#pragma once
#include <cmath>
#include <vector>

#include "layer.h"

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

// What is active in one step: channel[first[i]] … of position[i]. Values are 1 unless `valued`.
struct Active {
  std::vector<int32_t> position;
  std::vector<uint32_t> first{0};
  Buffer<uint32_t> channel;
  Buffer<float> value;
  bool valued = false;

  void clear(bool with_values) {
    position.clear();
    first.assign(1, 0);
    valued = with_values;
  }
  uint32_t count() const { return first.back(); }
  // The end of the channels, with room for `more` of them.
  uint32_t *room(int more) {
    channel.grow(count() + more);
    return channel.get() + count();
  }
  void close(int at, uint32_t channels) {
    position.push_back(at);
    first.push_back(count() + channels);
  }
};

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
      const int pixel = e.y * c.width + e.x;
      double *sum = &sums_[2 * size_t(pixel)];
      if (sum[0] < 0 && sum[1] < 0) pixels_.push_back(pixel);
      double &mine = sum[e.p != 0];
      mine = (mine < 0 ? 0 : mine) + std::exp(double(e.t - end) / c.tau_us);
    }
    out->clear(true);
    out->channel.grow(2 * pixels_.size());
    out->value.grow(2 * pixels_.size());
    for (int pixel : pixels_) {
      uint32_t channels = 0;
      for (int p = 0; p < 2; p++) {
        double &sum = sums_[2 * size_t(pixel) + p];
        if (sum < 0) continue;
        out->channel[out->count() + channels] = p;
        out->value[out->count() + channels++] = float(coded(c, sum));
        sum = UNTOUCHED;
      }
      out->close(pixel, channels);
    }
    return true;
  }

 private:
  static constexpr double UNTOUCHED = -1;
  std::vector<double> sums_;
  std::vector<int> pixels_;

  static double coded(const snn_stream_coding &c, double sum) {
    if (c.mode == 2) return 1;
    if (c.mode == 0) return sum;
    return std::fmin(std::nearbyint(sum * c.payload_one), c.payload_max) / c.unit;
  }
};

}  // namespace snn
