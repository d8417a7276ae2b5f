// Products from parts, as the matrix unit computes them, against the same products of floats; the unit is emulated.
#if !defined(SNN_TILES)
#define SNN_TILES "emulated_tiles.h"
#endif

#include "check.h"
#include "product.h"

#include <cmath>
#include <random>
#include <vector>

namespace {

std::mt19937 bits(3);

template <int G>
void check(int count, int channels, int from, int to) {
  constexpr int W = G * snn::GROUP;
  std::uniform_real_distribution<float> uniform(-1, 1);
  const int stride = (channels + W - 1) / W * W, depth = snn::depths(stride) * snn::DEPTH;
  std::vector<snn::Tap> taps(count);
  std::vector<snn::Buffer<float>> floats;
  std::vector<snn::Buffer<snn::Half>> halves;
  for (snn::Tap &tap : taps) {
    floats.emplace_back(size_t(snn::STEPS) * stride), floats.emplace_back(size_t(stride) * W);
    halves.emplace_back(size_t(2) * snn::STEPS * depth), halves.emplace_back(size_t(2) * depth * W);
    float *g = floats[floats.size() - 2].get(), *down = floats.back().get();
    snn::Half *left = halves[halves.size() - 2].get(), *right = halves.back().get();
    for (int t = from; t < to; t++)
      for (int c = 0; c < channels; c++) g[t * stride + c] = std::ldexp(uniform(bits), int(bits() % 20) - 10);
    for (int c = 0; c < channels; c++)
      for (int i = 0; i < W; i++) down[c * W + i] = uniform(bits);
    for (int t = 0; t < snn::STEPS; t++)
      for (int c = 0; c < stride; c += snn::GROUP)
        snn::split_left(snn::load(g + t * stride + c), left + t * depth + c, size_t(snn::STEPS) * depth);
    snn::split_right<G>(down, stride, right);
    tap.g = g, tap.down = down, tap.left = left, tap.right = right;
  }
  snn::Buffer<float> one(size_t(snn::STEPS) * W), two(size_t(snn::STEPS) * W);
  snn::product<G>(taps.data(), count, from, to, channels, stride, nullptr, nullptr, one.get(), W);
  snn::product_of_parts<G>(taps.data(), count, from, to, depth, two.get(), W);
  for (int t = from; t < to; t++)
    for (int i = 0; i < W; i++) {
      double sum = 0, size = 0;
      for (const snn::Tap &tap : taps)
        for (int c = 0; c < channels; c++) {
          const double product = double(tap.g[t * stride + c]) * tap.down[c * W + i];
          sum += product, size += std::fabs(product);
        }
      CHECK(std::fabs(one[t * W + i] - sum) <= size * std::ldexp(1., -20));
      CHECK(std::fabs(two[t * W + i] - sum) <= size * 3.1 * std::ldexp(1., -16));
    }
}

}  // namespace

int main() {
  snn::MatrixUnit unit;
  for (int channels : {5, 16, 40, 64})
    for (int from : {0, 7, 16, 31})
      for (int to : {from + 1, 16, 24, 32})
        if (to > from) check<1>(1 + channels % 3, channels, from, to), check<2>(2, channels, from, to);
}
