// The streaming kernels against plain loops; run under AddressSanitizer and UndefinedBehaviorSanitizer as well.
#include <random>
#include <vector>

#include "check.h"
#include "integer_stream.h"

namespace {

std::mt19937 random_bits(1);
double uniform(double low, double high) { return std::uniform_real_distribution<double>(low, high)(random_bits); }
int whole(int low, int high) { return std::uniform_int_distribution<int>(low, high)(random_bits); }

bool close(double a, double b, double scale) { return std::fabs(a - b) <= 1e-4 * (scale + std::fabs(b)); }

// Silence in closed form is silence step by step, and no neuron that is about to spike counts as restful.
void decays() {
  int slept = 0, spiked = 0;
  for (int round = 0; round < 1000; round++) {
    const int channels = whole(1, 40), width = snn::rounded(channels, snn::GROUP), n = whole(0, whole(0, 1) ? 9000 : 300);
    std::vector<double> alpha(channels), beta(channels);
    const bool same = whole(0, 1);
    for (int c = 0; c < channels; c++) {
      alpha[c] = same && c ? alpha[0] : whole(0, 9) ? 1 - std::pow(10, uniform(-4, 0)) : whole(0, 1);
      beta[c] = same && c ? beta[0] : whole(0, 9) ? 1 - std::pow(10, uniform(-4, 0)) : whole(0, 1);
    }
    const snn::Decay decay(alpha.data(), beta.data(), channels);
    snn::Buffer<float> u(width), v(width), limit(width);
    std::vector<double> us(channels), vs(channels);
    bool crossed = false;
    for (int c = 0; c < width; c++) limit[c] = INFINITY;
    for (int c = 0; c < channels; c++) {
      u[c] = float(us[c] = whole(0, 2) ? uniform(-0.05, 0.05) : 0);
      v[c] = float(vs[c] = uniform(-1, 1)), limit[c] = 1;
    }
    const bool restless = decay.restless(decay.current ? u.get() : nullptr, v.get(), limit.get(), width);
    double most = 0;
    for (int i = 0; i < n; i++)
      for (int c = 0; c < channels; c++) {
        us[c] *= alpha[c], vs[c] = beta[c] * vs[c] + us[c];
        crossed |= vs[c] > 1 + 1e-5;
        most = std::max(most, std::fabs(vs[c]));
      }
    CHECK(restless || !crossed);
    slept += !restless, spiked += crossed;
    snn::Buffer<float> u2(width), v2(width);
    std::memcpy(u2.get(), u.get(), width * 4), std::memcpy(v2.get(), v.get(), width * 4);
    decay.silent(decay.current ? u.get() : nullptr, v.get(), width, n);
    decay.until(decay.current ? u2.get() : nullptr, v2.get(), width, n);
    for (int c = 0; c < channels; c++) {
      if (decay.current) CHECK(close(u[c], us[c], 0.01) && close(u2[c], alpha[c] * us[c], 0.01));
      CHECK(close(v[c], vs[c], most + 1) && close(v2[c], beta[c] * vs[c], most + 1));
    }
  }
  CHECK(slept > 100 && spiked > 100);
}

struct Random {
  std::vector<snn_stream_synapses> synapses;
  std::vector<std::vector<float>> weights;
};

// Two convolutions with anything, then a dense layer; weights are whole numbers.
Random random_layers(int height, int width) {
  Random r;
  int c = 2, h = height, w = width;
  for (int i = 0; i < 3; i++) {
    snn_stream_synapses s{};
    s.in_c = c, s.in_h = h, s.in_w = w, s.groups = 1;
    if (i < 2) {
      s.groups = c % 2 ? 1 : whole(1, 2);
      s.out_c = s.groups * whole(1, 30);
      for (int a = 0; a < 2; a++) {
        s.kernel[a] = whole(1, 4), s.stride[a] = whole(1, 3), s.dilation[a] = whole(1, 2);
        s.padding[a] = (s.kernel[a] - 1) * s.dilation[a] / 2 + whole(0, 1);
      }
    } else {
      s.out_c = whole(1, 40);
      for (int a = 0; a < 2; a++) s.kernel[a] = a ? w : h, s.stride[a] = s.dilation[a] = 1, s.padding[a] = 0;
    }
    s.out_h = (h + 2 * s.padding[0] - s.dilation[0] * (s.kernel[0] - 1) - 1) / s.stride[0] + 1;
    s.out_w = (w + 2 * s.padding[1] - s.dilation[1] * (s.kernel[1] - 1) - 1) / s.stride[1] + 1;
    if (s.out_h < 1 || s.out_w < 1) return random_layers(height, width);
    r.weights.emplace_back(size_t(s.out_c) * c / s.groups * s.kernel[0] * s.kernel[1]);
    for (float &x : r.weights.back()) x = float(whole(-60, 80));
    r.synapses.push_back(s);
    c = s.out_c, h = s.out_h, w = s.out_w;
  }
  for (int i = 0; i < 3; i++) r.synapses[i].weight = r.weights[i].data();
  return r;
}

// Sums of weights, [out_c][out_h][out_w], one synapse after the other.
std::vector<double> sums(const snn_stream_synapses &s, const std::vector<double> &x) {
  std::vector<double> out(size_t(s.out_c) * s.out_h * s.out_w);
  const int in = s.in_c / s.groups, per_group = s.out_c / s.groups;
  size_t at = 0;
  for (int o = 0; o < s.out_c; o++)
    for (int oy = 0; oy < s.out_h; oy++)
      for (int ox = 0; ox < s.out_w; ox++, at++)
        for (int i = 0; i < in; i++)
          for (int ky = 0; ky < s.kernel[0]; ky++)
            for (int kx = 0; kx < s.kernel[1]; kx++) {
              const int y = oy * s.stride[0] - s.padding[0] + ky * s.dilation[0];
              const int z = ox * s.stride[1] - s.padding[1] + kx * s.dilation[1];
              if (y < 0 || y >= s.in_h || z < 0 || z >= s.in_w) continue;
              const size_t k = ((size_t(o) * in + i) * s.kernel[0] + ky) * s.kernel[1] + kx;
              out[at] += s.weight[k] * x[(size_t(o / per_group * in + i) * s.in_h + y) * s.in_w + z];
            }
  return out;
}

snn_stream_coding unary(int height, int width) { return {height, width, 2, 8, 31, 1, 1000, 5000.}; }

// Events of one step, now and then none; `x` becomes the input [2][h][w].
std::vector<snn_event> events(int height, int width, int64_t step, std::vector<double> *x) {
  std::vector<snn_event> e(whole(0, 2) ? 0 : whole(1, 20));
  x->assign(size_t(2) * height * width, 0);
  for (auto &one : e) {
    one = {step * 1000 + whole(1, 1000), uint16_t(whole(0, width - 1)), uint16_t(whole(0, height - 1)),
           uint8_t(whole(0, 1))};
    (*x)[(size_t(one.p) * height + one.y) * width + one.x] = 1;
  }
  return e;
}

// A float network of halves, quarters … in which every sum is exact: spikes and membranes are equal to the bit.
void floats() {
  long total = 0;
  for (int round = 0; round < 60; round++) {
    const int height = whole(3, 9), width = whole(3, 9);
    Random r = random_layers(height, width);
    snn_stream_lif neurons[3];
    std::vector<double> decays[3];
    std::vector<float> thresholds[3];
    const bool subtract = whole(0, 1), readout = whole(0, 1);
    for (int i = 0; i < 3; i++) {
      decays[i].assign(r.synapses[i].out_c, 0.5);
      thresholds[i].assign(r.synapses[i].out_c, float(whole(60, 200)));
      neurons[i] = {i < 2 || !readout, subtract, decays[i].data(), decays[i].data(), thresholds[i].data()};
    }
    const auto coding = unary(height, width);
    void *network = snn_stream_network_new(&coding, 3, r.synapses.data(), neurons), *stream = snn_stream_new(network);
    CHECK(network && stream && snn_stream_bytes(network) > 0);
    std::vector<double> u[3], v[3], x;
    for (int i = 0; i < 3; i++) {
      const auto &s = r.synapses[i];
      u[i].resize(size_t(s.out_c) * s.out_h * s.out_w), v[i].resize(u[i].size());
    }
    std::vector<float> out(u[2].size());
    for (int64_t step = 0; step < 12; step++) {
      const auto e = events(height, width, step, &x);
      int64_t counts[3], expected[3] = {};
      const snn_event late = {step * 1000 + 1001, 0, 0, 0}, outside = {step * 1000 + 1, uint16_t(width), 0, 0};
      CHECK(snn_stream_tick(stream, &late, 1, out.data(), counts) == SNN_STREAM_REFUSED);
      CHECK(snn_stream_tick(stream, &outside, 1, out.data(), counts) == SNN_STREAM_REFUSED);
      CHECK(snn_stream_tick(stream, e.data(), int64_t(e.size()), out.data(), counts) == SNN_STREAM_DONE);
      for (int i = 0; i < 3; i++) {
        const auto a = sums(r.synapses[i], x);
        x.assign(a.size(), 0);
        for (size_t j = 0; j < a.size(); j++) {
          u[i][j] = 0.5 * u[i][j] + a[j], v[i][j] = 0.5 * v[i][j] + u[i][j];
          if (!neurons[i].spiking || v[i][j] <= thresholds[i][0]) continue;
          x[j] = 1, expected[i]++, v[i][j] = subtract ? v[i][j] - thresholds[i][0] : 0;
        }
        total += expected[i];
        CHECK(counts[i] == expected[i]);
      }
      for (size_t j = 0; j < out.size(); j++) CHECK(out[j] == float(readout ? v[2][j] : x[j]));
      if (whole(0, 4)) continue;
      std::vector<float> us[3], vs[3];
      float *up[3], *vp[3];
      for (int i = 0; i < 3; i++) {
        us[i].resize(u[i].size()), vs[i].resize(u[i].size());
        up[i] = us[i].data(), vp[i] = vs[i].data();
      }
      CHECK(snn_stream_state_get(stream, up, vp) == step + 1);
      for (int i = 0; i < 3; i++)
        for (size_t j = 0; j < u[i].size(); j++) CHECK(us[i][j] == float(u[i][j]) && vs[i][j] == float(v[i][j]));
      snn_stream_free(stream);
      stream = snn_stream_new(network);
      std::fill(out.begin(), out.end(), 0.f);
      snn_stream_state_set(stream, step + 1, up, vp);
      CHECK(snn_stream_step(stream) == step + 1);
    }
    snn_stream_free(stream);
    snn_stream_network_free(network);
  }
  CHECK(total > 5000);
}

int64_t truncated(int64_t m, int64_t keep) { return m * keep / 4096; }

void integers() {
  long total = 0, wrapped = 0;
  for (int round = 0; round < 60; round++) {
    const int height = whole(3, 9), width = whole(3, 9);
    Random r = random_layers(height, width);
    snn_integer_neurons neurons[3];
    std::vector<int32_t> parameter[3][4];
    for (int i = 0; i < 3; i++) {
      const auto &s = r.synapses[i];
      neurons[i].spiking = 1;
      for (int k = 0; k < 4; k++) {
        neurons[i].by_position[k] = whole(0, 1);
        parameter[i][k].resize(s.out_c * (neurons[i].by_position[k] ? s.out_h * s.out_w : 1));
        const bool none = k == 3 && whole(0, 1);
        for (auto &x : parameter[i][k])
          x = none ? 0 : k < 2 ? whole(2000, 4096) : k == 2 ? whole(50, 131071) / whole(1, 900) : whole(-60, 60);
        neurons[i].parameter[k] = parameter[i][k].data();
      }
      if (round % 3 == 0)
        for (float &x : r.weights[i]) x *= 200;
    }
    const auto coding = unary(height, width);
    void *network = snn_integer_network_new(&coding, 3, r.synapses.data(), neurons);
    void *stream = snn_integer_new(network);
    CHECK(network && stream && snn_integer_bytes(network) > 0);
    std::vector<int64_t> u[3], v[3];
    for (int i = 0; i < 3; i++) {
      const auto &s = r.synapses[i];
      u[i].resize(size_t(s.out_c) * s.out_h * s.out_w), v[i].resize(u[i].size());
    }
    std::vector<int32_t> out(u[2].size());
    int64_t wraps[3] = {}, peak = 0, found[3];
    for (int64_t step = 0; step < 12; step++) {
      std::vector<double> x;
      const auto e = events(height, width, step, &x);
      int64_t counts[3], expected[3] = {};
      std::vector<uint8_t> spikes[3];
      uint8_t *to[3];
      for (int i = 0; i < 3; i++) spikes[i].resize(u[i].size()), to[i] = spikes[i].data();
      const bool shown = whole(0, 1);
      CHECK(snn_integer_tick(stream, e.data(), int64_t(e.size()), out.data(), counts, shown ? to : nullptr) ==
            SNN_STREAM_DONE);
      for (int i = 0; i < 3; i++) {
        const auto a = sums(r.synapses[i], x);
        const int positions = r.synapses[i].out_h * r.synapses[i].out_w;
        x.assign(a.size(), 0);
        for (size_t j = 0; j < a.size(); j++) {
          auto p = [&](int k) { return int64_t(parameter[i][k][neurons[i].by_position[k] ? j : j / positions]); };
          u[i][j] = truncated(u[i][j], p(0)) + 64 * int64_t(a[j]);
          if (u[i][j] > (1 << 23)) u[i][j] -= 1 << 24, wraps[i]++;
          else if (u[i][j] <= -(1 << 23)) u[i][j] += 1 << 24, wraps[i]++;
          const int64_t m = truncated(v[i][j], p(1)) + u[i][j] + 64 * p(3);
          if (i == 2) peak = std::max<int64_t>(peak, std::llabs(m));
          v[i][j] = std::max<int64_t>(-(1 << 23) + 1, std::min<int64_t>((1 << 23) - 1, m));
          if (v[i][j] > 64 * p(2)) x[j] = 1, expected[i]++, v[i][j] = 0;
        }
        total += expected[i];
        CHECK(counts[i] == expected[i]);
        for (size_t j = 0; j < x.size(); j++) CHECK(spikes[i][j] == (shown && x[j] != 0));
      }
      for (size_t j = 0; j < out.size(); j++) CHECK(out[j] == int32_t(x[j]));
      CHECK(snn_integer_range(stream, found) == peak);
      for (int i = 0; i < 3; i++) CHECK(found[i] == wraps[i]);
    }
    std::vector<int32_t> us[3], vs[3];
    int32_t *up[3], *vp[3];
    for (int i = 0; i < 3; i++) {
      us[i].resize(u[i].size()), vs[i].resize(u[i].size());
      up[i] = us[i].data(), vp[i] = vs[i].data();
    }
    CHECK(snn_integer_state_get(stream, up, vp) == 12);
    for (int i = 0; i < 3; i++)
      for (size_t j = 0; j < u[i].size(); j++) CHECK(us[i][j] == u[i][j] && vs[i][j] == v[i][j]);
    snn_integer_state_set(stream, 12, up, vp);
    CHECK(snn_integer_range(stream, found) == 0 && found[0] == 0);
    wrapped += wraps[0] + wraps[1] + wraps[2];
    snn_integer_free(stream);
    snn_integer_network_free(network);
  }
  CHECK(total > 5000 && wrapped > 0);
}

}  // namespace

int main() {
  decays();
  floats();
  integers();
  std::puts("ok");
}
