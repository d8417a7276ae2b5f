// The training kernels on small networks of odd sizes, on one thread and on several; run under the sanitisers.

#include "check.h"
#include "train.h"

#include <cmath>
#include <numeric>
#include <random>

namespace {

constexpr int IN_C = 2, IN_H = 7, IN_W = 9;

struct Options {
  int steps, clips;
  bool events, ready, subtract, detach, learn, current, spiking, readout;  // ready: cells in place of events
  int surrogate, truncate;
};

// Layers with the numbers they point to.
struct Network {
  std::mt19937 bits{1};
  std::vector<snn_layer> layers;
  std::vector<std::vector<float>> numbers;

  const float *some(size_t n, float low, float high) {
    std::uniform_real_distribution<float> uniform(low, high);
    numbers.emplace_back(n);
    for (float &x : numbers.back()) x = uniform(bits);
    return numbers.back().data();
  }
  size_t weights(size_t l) const {
    const snn_layer &a = layers[l];
    return size_t(a.out_c) * (a.in_c / a.groups) * a.kernel[0] * a.kernel[1];
  }
  // On top of the last; what is not given here comes from the geometry. Weights are such that some neurons spike.
  void add(const Options &o, snn_layer l) {
    auto size = [&](int axis, int in) {
      return (in + 2 * l.padding[axis] - l.dilation[axis] * (l.kernel[axis] - 1) - 1) / l.stride[axis] + 1;
    };
    l.in_c = layers.empty() ? IN_C : layers.back().out_c;
    l.in_h = layers.empty() ? IN_H : layers.back().out_h;
    l.in_w = layers.empty() ? IN_W : layers.back().out_w;
    if (!l.kernel[0]) l.kernel[0] = l.in_h, l.kernel[1] = l.in_w;
    l.out_h = size(0, l.in_h), l.out_w = size(1, l.in_w);
    l.subtract = o.subtract, l.surrogate = o.surrogate, l.detach_reset = o.detach, l.learn = o.learn;
    l.slope = o.surrogate == snn::TRIANGLE && o.steps % 2 ? 6.f : 1.f;
    layers.push_back(l);
    const size_t n = weights(layers.size() - 1);
    const float scale = 3.f / std::sqrt(float(n) / l.out_c);
    layers.back().weight = some(n, -scale, scale);
    layers.back().alpha = some(l.out_c, 0, o.current ? 0.8f : 0.f);
    layers.back().beta = some(l.out_c, 0.5f, 0.95f);
    layers.back().threshold = some(l.out_c, 0.5f, 1.f);
  }
  explicit Network(const Options &o) {
    // out_c alone, then kernel, stride, padding, dilation, groups, spiking
    if (o.spiking) {
      add(o, {0, 0, 0, 33, 0, 0, {3, 2}, {2, 1}, {1, 0}, {1, 1}, 1, 1});
      add(o, {0, 0, 0, 22, 0, 0, {2, 3}, {1, 2}, {0, 1}, {2, 1}, 11, 1});
      add(o, {0, 0, 0, 48, 0, 0, {3, 3}, {2, 2}, {1, 1}, {1, 1}, 1, 1});
      add(o, {0, 0, 0, 40, 0, 0, {0, 0}, {1, 1}, {0, 0}, {1, 1}, 1, 1});
    }
    if (o.readout) add(o, {0, 0, 0, 5, 0, 0, {0, 0}, {1, 1}, {0, 0}, {1, 1}, 1, 0});
  }
};

// Of a batch; `given` where cells are ready, whose t are steps.
struct Input {
  std::vector<int64_t> t, x, y, p, offsets{0};
  std::vector<float> given;

  explicit Input(const Options &o) {
    std::mt19937 bits(2);
    auto whole = [&](int high) { return int64_t(bits() % unsigned(high + 1)); };
    for (int clip = 0; clip < o.clips; clip++) {
      const int n = o.events && clip != 1 ? 9 * o.steps : 0;  // the second clip is empty
      std::vector<int64_t> times;
      for (int i = 0; i < n; i++) times.push_back(o.ready ? whole(o.steps - 1) : whole(1000 * (o.steps + 1)));
      std::sort(times.begin(), times.end());
      t.insert(t.end(), times.begin(), times.end());
      for (int i = 0; i < n; i++) x.push_back(whole(IN_W - 1)), y.push_back(whole(IN_H - 1)), p.push_back(whole(1));
      offsets.push_back(int64_t(t.size()));
    }
    given.assign(o.ready ? t.size() : 0, 0.7f);
  }
};

struct Outcome {
  std::vector<float> outputs;                 // spikes of each layer, then rates, then the readout
  std::vector<std::vector<float>> gradients;  // weight, learned of each layer
  float spikes = 0;
};

Outcome run(const Options &o, int threads) {
  const Network network(o);
  const Input in(o);
  const int count = int(network.layers.size());
  std::vector<float> rates, readout;
  for (const snn_layer &l : network.layers)
    if (l.spiking) rates.resize(rates.size() + size_t(o.clips) * l.out_c);
  if (o.readout) readout.resize(size_t(o.steps) * o.clips * 5);
  auto forward = [&](int keeps) {
    return snn_forward(network.layers.data(), count, in.t.data(), in.x.data(), in.y.data(), in.p.data(),
                       in.offsets.data(), o.ready ? in.given.data() : nullptr, 1000, 3000.0, o.steps % 3, 8, 31, o.clips,
                       o.steps, threads, keeps, rates.data(), o.readout ? readout.data() : nullptr);
  };
  auto outputs = [&](const void *handle) {
    Outcome found;
    size_t at = 0;
    for (int i = 0; i < count; i++) {
      const snn_layer &l = network.layers[i];
      if (!l.spiking) continue;
      const size_t positions = size_t(l.out_h) * l.out_w, clip = l.out_c * positions;
      std::vector<float> spikes(o.steps * o.clips * clip), sums(size_t(o.clips) * l.out_c);
      snn_spikes(handle, i, spikes.data());
      for (size_t j = 0; j < spikes.size(); j++) sums[j / positions % sums.size()] += spikes[j];
      for (float sum : sums) {
        CHECK(std::fabs(sum / (float(o.steps) * positions) - rates[at++]) < 1e-6f);
        found.spikes += sum;
      }
      found.outputs.insert(found.outputs.end(), spikes.begin(), spikes.end());
    }
    found.outputs.insert(found.outputs.end(), rates.begin(), rates.end());
    found.outputs.insert(found.outputs.end(), readout.begin(), readout.end());
    return found;
  };
  void *handle = forward(0);
  const Outcome alone = outputs(handle);
  const int64_t fewer = snn_bytes(handle);
  snn_free(handle);
  handle = forward(1);
  Outcome found = outputs(handle);
  CHECK(found.outputs == alone.outputs);
  CHECK(o.steps > snn::STEPS ? snn_bytes(handle) > fewer : snn_bytes(handle) >= fewer);
  std::vector<float *> weight, learned;
  for (int i = 0; i < count; i++) {
    found.gradients.emplace_back(network.weights(i)), found.gradients.emplace_back(3 * network.layers[i].out_c);
    weight.push_back(found.gradients[2 * i].data()), learned.push_back(found.gradients[2 * i + 1].data());
  }
  for (size_t i = 0; i < rates.size(); i++) rates[i] = std::sin(float(i));
  for (size_t i = 0; i < readout.size(); i++) readout[i] = std::cos(float(i));
  CHECK(snn_backward(handle, rates.data(), o.readout ? readout.data() : nullptr, o.truncate, weight.data(),
                     learned.data()) == 0);
  snn_free(handle);
  return found;
}

void check(const Options &o) {
  const Outcome one = run(o, 1);
  const int64_t keep = snn::keep;
  snn_keep(o.clips % 2 ? keep : 0);
  const Outcome three = run(o, 3);
  snn_keep(keep);
  CHECK(one.outputs == three.outputs);
  CHECK(std::isfinite(std::accumulate(one.outputs.begin(), one.outputs.end(), 0.f)));
  CHECK((one.spikes > 0) == (o.events && o.spiking));
  for (size_t i = 0; i < one.gradients.size(); i++) {
    float largest = 0, apart = 0;
    for (size_t j = 0; j < one.gradients[i].size(); j++) {
      CHECK(std::isfinite(one.gradients[i][j]));
      largest = std::max(largest, std::fabs(one.gradients[i][j]));
      apart = std::max(apart, std::fabs(one.gradients[i][j] - three.gradients[i][j]));
    }
    CHECK(apart <= 1e-4f * largest);
    if (i % 2 == 0 && !o.events) CHECK(largest == 0);
    if (i == 0 && o.events) CHECK(largest > 0);
    if (i % 2 && !o.learn) CHECK(largest == 0);
  }
}

}  // namespace

int main() {
  std::mt19937 bits(3);
  auto toss = [&] { return bool(bits() >> 16 & 1); };
  for (int steps : {1, 33, 64})
    for (int i = 0; i < 6; i++)
      check({steps, 1 + i % 4, true, toss(), toss(), toss(), toss(), toss(), true, toss(), i % 3, i % 4 ? 0 : 20});
  for (int i = 0; i < 4; i++) {
    check({33, 2, false, toss(), toss(), toss(), i % 2 == 0, true, true, toss(), i % 3, 0});  // no event
    check({33, 2, true, toss(), false, false, i % 2 == 0, toss(), false, true, 0, 0});        // a readout alone
  }
  return 0;
}
