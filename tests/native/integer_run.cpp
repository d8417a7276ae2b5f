// Runs with lag, delays, recurrent weights and rests against plain loops.
#include <random>
#include <vector>

#include "check.h"
#include "integer_run.h"

namespace {

std::mt19937 random_bits(1);
int whole(int low, int high) { return std::uniform_int_distribution<int>(low, high)(random_bits); }
int64_t truncated(int64_t m, int64_t keep) { return m * keep / 4096; }

constexpr int LAYERS = 2, STEPS = 40, PARTS = 4;

// Single synapses between all sources and outputs, some of weight zero.
struct Wired {
  std::vector<int64_t> first{0};
  std::vector<int32_t> delay, output, weight;
  snn_integer_wires wires{};

  void make(int sources, int outputs, int shortest, int longest) {
    for (int j = 0; j < sources; j++) {
      for (int o = 0; o < outputs; o++)
        delay.push_back(whole(shortest, longest)), output.push_back(o), weight.push_back(whole(-254, 254));
      first.push_back(int64_t(weight.size()));
    }
    wires = {first.data(), delay.data(), output.data(), weight.data(), sources, longest};
  }
};

void run(int round) {
  const int channels = whole(1, 3), height = whole(1, 4), width = whole(1, 4), cells = channels * height * width;
  const int sizes[LAYERS] = {whole(1, 20), whole(1, 20)};
  const bool lag = whole(0, 1), loops = whole(0, 1), delayed = whole(0, 1);
  const int64_t interval = whole(0, 9), offset = whole(0, 2);
  std::vector<float> weights[LAYERS];
  snn_stream_synapses synapses[LAYERS];
  snn_integer_neurons neurons[LAYERS];
  std::vector<int32_t> parameter[LAYERS][4];
  Wired in[LAYERS], own[LAYERS];
  snn_integer_wires ins[LAYERS]{}, owns[LAYERS]{};
  for (int i = 0; i < LAYERS; i++) {
    const int sources = i ? sizes[0] : cells;
    weights[i].resize(size_t(sources) * sizes[i]);
    for (float &w : weights[i]) w = float(whole(-254, 254));
    const int c = i ? sizes[0] : channels, h = i ? 1 : height, w = i ? 1 : width;
    synapses[i] = {c, h, w, sizes[i], 1, 1, {h, w}, {1, 1}, {0, 0}, {1, 1}, 1, weights[i].data()};
    neurons[i] = {1, {0, 0, 0, 0}, {}};
    for (int k = 0; k < 4; k++) {
      parameter[i][k].resize(sizes[i]);
      for (auto &x : parameter[i][k]) x = k < 2 ? whole(0, 4096) : k == 2 ? whole(50, 3000) : whole(-60, 60);
      neurons[i].parameter[k] = parameter[i][k].data();
    }
  }
  if (delayed) in[1].make(sizes[0], sizes[1], 0, whole(0, 7)), ins[1] = in[1].wires;
  if (loops) own[1].make(sizes[1], sizes[1], 1, 1), owns[1] = own[1].wires;
  const snn_stream_coding coding{};
  void *network = snn_integer_network_new(&coding, LAYERS, synapses, neurons);
  void *handle = snn_integer_run_new(network, lag, ins, owns);
  CHECK(network && handle);

  std::vector<int32_t> x(size_t(STEPS) * cells);
  for (auto &value : x) value = whole(0, 3) ? 0 : round % 2 ? 1 : whole(1, 255);
  std::vector<uint8_t> s[LAYERS];
  std::vector<int32_t> u[LAYERS], v[LAYERS];
  for (int i = 0; i < LAYERS; i++) s[i].resize(STEPS * sizes[i]), u[i].resize(s[i].size()), v[i].resize(s[i].size());
  for (int part = 0; part < PARTS; part++) {
    const int steps = STEPS / PARTS, begin = part * steps;
    std::vector<int64_t> first{0};
    std::vector<int32_t> position, channel;
    std::vector<float> value;
    for (int t = begin; t < begin + steps; t++) {
      for (int p = 0; p < height * width; p++)
        for (int c = 0; c < channels; c++)
          if (const int32_t a = x[size_t(t) * cells + c * height * width + p])
            position.push_back(p), channel.push_back(c), value.push_back(float(a));
      first.push_back(int64_t(value.size()));
    }
    uint8_t *ss[LAYERS];
    int32_t *us[LAYERS], *vs[LAYERS];
    for (int i = 0; i < LAYERS; i++) {
      ss[i] = &s[i][begin * sizes[i]];
      us[i] = &u[i][begin * sizes[i]], vs[i] = &v[i][begin * sizes[i]];
    }
    CHECK(snn_integer_run_steps(handle, steps, first.data(), position.data(), channel.data(), value.data(), interval,
                                offset, ss, us, vs) == SNN_STREAM_DONE);
  }

  int64_t wraps[LAYERS], expected[LAYERS] = {};
  snn_integer_run_wraps(handle, wraps);
  for (int i = 0; i < LAYERS; i++) {
    const int sources = i ? sizes[0] : cells, n = sizes[i];
    auto sent = [&](int t, int j) { return t < 0 ? 0 : i ? int64_t(s[0][t * sizes[0] + j]) : x[size_t(t) * cells + j]; };
    std::vector<int64_t> cu(n), cv(n);
    for (int t = 0; t < STEPS; t++)
      for (int o = 0; o < n; o++) {
        if (interval && (t - offset - i) % interval == 0) cu[o] = cv[o] = 0;
        int64_t a = 0;
        for (int j = 0; j < sources; j++)
          a += i && delayed ? in[1].weight[j * n + o] * sent(t - lag - in[1].delay[j * n + o], j)
                            : int64_t(weights[i][size_t(o) * sources + j]) * sent(t - lag, j);
        for (int j = 0; i && loops && t && j < n; j++) a += own[1].weight[j * n + o] * s[1][(t - 1) * n + j];
        auto p = [&](int k) { return int64_t(parameter[i][k][o]); };
        cu[o] = truncated(cu[o], p(0)) + 64 * a;
        if (cu[o] > (1 << 23)) cu[o] -= 1 << 24, expected[i]++;
        else if (cu[o] <= -(1 << 23)) cu[o] += 1 << 24, expected[i]++;
        cv[o] = truncated(cv[o], p(1)) + cu[o] + 64 * p(3);
        cv[o] = std::max<int64_t>(-(1 << 23) + 1, std::min<int64_t>((1 << 23) - 1, cv[o]));
        const bool fires = cv[o] > 64 * p(2);
        if (fires) cv[o] = 0;
        CHECK(s[i][t * n + o] == fires && u[i][t * n + o] == cu[o] && v[i][t * n + o] == cv[o]);
      }
    CHECK(wraps[i] == expected[i]);
  }
  snn_integer_run_free(handle);
  snn_integer_network_free(network);
}

}  // namespace

int main() {
  for (int round = 0; round < 200; round++) run(round);
  std::puts("ok");
}
