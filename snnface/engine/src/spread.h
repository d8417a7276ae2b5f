// Spikes as the left sides of the matrix unit's products (matrix.h): a number for each bit, 32 sources at a time.
#pragma once
#include "product.h"

namespace snn {

// Lists are faster where fewer than one in so many sources spikes.
constexpr int SPIKES_BELOW = 32;

// What the outputs of one image row read, in one block of steps: [ky][x of the source][depth][32][32].
struct Spread {
  Buffer<Half> by_step, by_channel;     // [step][channel] and [channel][step]
  Buffer<uint8_t> steps, channels;      // which Halves of them are not silent
  int wide = 0, depths = 0;

  size_t at(int ky, int x, int depth) const { return (size_t(ky) * wide + x) * depths + depth; }

  // From the spikes of the layer before. `turned`: by channel as well.
  void of(const Layer &l, const Word *spikes, int y, bool turned) {
    wide = l.is.in_w, depths = l.depths_in();
    const size_t blocks = size_t(l.is.kernel[0]) * wide * depths;
    by_step.grow(blocks * STEPS * DEPTH), steps.grow(blocks);
    if (turned) by_channel.grow(blocks * STEPS * DEPTH), channels.grow(blocks);
    const int words = l.words_in;
    rows_of_sources(l, y, [&](int iy, int ky) {
      for (int x = 0; x < wide; x++)
        for (int d = 0; d < depths; d++)
          of_source(spikes + (size_t(iy) * wide + x) * STEPS * words + 2 * d, words, 2 * d + 1 < words, at(ky, x, d), turned);
    });
  }

  // Whether the outputs of row y have enough input for the matrix unit.
  static bool worth(const Layer &l, const Word *spikes, int y) {
    const size_t row = size_t(l.is.in_w) * STEPS * l.words_in;
    size_t count = 0, all = 0;
    rows_of_sources(l, y, [&](int iy, int) {
      const Word *at = spikes + iy * row;
      for (size_t i = 0; i < row; i += 4) {  // STEPS words and more
        uint64_t bits;
        std::memcpy(&bits, at + i, sizeof bits);
        count += size_t(__builtin_popcountll(bits));
      }
      all += row * GROUP;
    });
    return count * SPIKES_BELOW >= all && count;
  }

 private:
  template <class F>
  static void rows_of_sources(const Layer &l, int y, F f) {
    for (int ky = 0; ky < l.is.kernel[0]; ky++) {
      const int iy = y * l.is.stride[0] - l.is.padding[0] + ky * l.is.dilation[0];
      if (iy >= 0 && iy < l.is.in_h) f(iy, ky);
    }
  }
  void of_source(const Word *spikes, int words, bool both, size_t block, bool turned) {
    Word group[2][STEPS] = {};
    uint32_t low = 0, high = 0;
    for (int t = 0; t < STEPS; t++) {
      group[0][t] = spikes[t * words];
      if (both) group[1][t] = spikes[t * words + 1];
      (t < 16 ? low : high) |= group[0][t] | uint32_t(group[1][t]) << GROUP;
    }
    steps[block] = uint8_t((low ? LOW : 0) | (high ? HIGH : 0));
    if (turned) channels[block] = uint8_t(((low | high) & 0xffff ? LOW : 0) | ((low | high) >> GROUP ? HIGH : 0));
    if (!steps[block]) return;
    Half *to = by_step.get() + block * STEPS * DEPTH;
    for (int t = 0; t < STEPS; t++) ones(group[0][t] | uint32_t(group[1][t]) << GROUP, to + t * DEPTH);
    if (!turned) return;
    to = by_channel.get() + block * STEPS * DEPTH;
    uint32_t times[2 * GROUP];
    transpose(group[0], times), transpose(group[1], times + GROUP);
    for (int c = 0; c < 2 * GROUP; c++) ones(times[c], to + c * DEPTH);
  }
};

// Synaptic inputs [STEPS][G groups] of output (y, x), of which `spread` has what row y reads, at steps from … to.
template <int G>
inline void sum_spikes(const Layer &l, const Spread &spread, int chunk, int y, int x, int from, int to, float *out) {
  const Halves rows = halves(from, to);
  const int depths = spread.depths;
  const Half *weights = l.weight_parts.get() + size_t(chunk) * l.taps * depths * WHOLE * G * TILE;
  Sums<G>::zero();
  sources(l.is, y, x, [&](int, int ix, int tap) {
    for (int d = 0; d < depths; d++) {
      const size_t block = spread.at(tap / l.is.kernel[1], ix, d);
      Sums<G>::template add<1, WHOLE>(Halves(spread.steps[block] & rows), spread.by_step.get() + block * STEPS * DEPTH,
                                      DEPTH, 0, weights + (size_t(tap) * depths + d) * WHOLE * G * TILE);
    }
  });
  Sums<G>::put(rows, out, GROUP, G * GROUP);
}

}  // namespace snn
