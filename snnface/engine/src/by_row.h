// The weights' gradients, row by row: each weight's sum over a tile of positions stays in registers.
//
// Spike by spike, every sum would be read and written each time.
#pragma once
#include "layer.h"
#include "patches.h"

namespace snn {

// Positions of a tile: its gradients of one chunk stay in the cache and their numbers fit 16 bits.
constexpr int TILE_POSITIONS = 16;

// Entries that a row's turn costs beside them: with fewer on average, spike by spike is faster.
constexpr int ROW_COSTS = 6;

static_assert(STEPS == 32, "a bit for each step");

// Of each channel of the source, the steps of a block at which it spiked, a bit each: [y][x][channel] of rows y0 … y1.
struct SpikeTimes {
  int y0 = 0, y1 = 0;
  Buffer<uint32_t> steps;

  // `needed`: from which step on a source may spike; the block ends at step `end`.
  void of(const Layer &l, const Word *spikes, const int32_t *needed, int from, int to, int block_steps, int end) {
    y0 = from, y1 = to;
    needed += y0 * l.is.in_w;
    const size_t positions = size_t(std::max(0, y1 - y0)) * l.is.in_w;
    steps.grow(positions * l.in_stride);
    const Word *at = spikes + size_t(y0) * l.is.in_w * STEPS * l.words_in;
    for (size_t p = 0; p < positions; p++, at += STEPS * l.words_in) {
      if (needed[p] >= end) {
        std::fill_n(&steps[p * l.in_stride], l.in_stride, 0);
        continue;
      }
      for (int w = 0; w < l.words_in; w++) {
        Word one[STEPS] = {};
        for (int t = 0; t < block_steps; t++) one[t] = at[t * l.words_in + w];
        transpose(one, &steps[p * l.in_stride + w * GROUP]);
      }
    }
  }
  const uint32_t *at(const Layer &l, int y, int x) const {
    return steps.get() + (size_t(y - y0) * l.is.in_w + x) * l.in_stride;
  }
};

// Where and when each row of weights was active in one tile: numbers into its gradients [position][STEPS][width]. The
// entries of a row begin at first[row] and are padded to fours with NOTHING, a gradient of zero behind the others.
struct ByRow {
  static constexpr uint16_t NOTHING = TILE_POSITIONS * STEPS;

  bool few = false;
  Buffer<uint32_t> first;
  Buffer<uint16_t> entry;

  // `each(f)` calls f(y, x, number in the tile, …) for the positions that have work; `total`: entries of them all.
  template <class Each>
  void list(const Layer &l, const SpikeTimes &times, size_t total, Each each) {
    first.grow(size_t(l.rows) + 1);
    entry.grow(total + 4 * size_t(l.rows) + 2 * STEPS);
    uint16_t *out = entry.get();
    int row = 0;
    for (int tap = 0; tap < l.taps; tap++) {
      const uint32_t *source[TILE_POSITIONS];
      uint32_t number[TILE_POSITIONS];
      int n = 0;
      each([&](int y, int x, int position, int) {
        const int iy = y * l.is.stride[0] - l.is.padding[0] + tap / l.is.kernel[1] * l.is.dilation[0];
        const int ix = x * l.is.stride[1] - l.is.padding[1] + tap % l.is.kernel[1] * l.is.dilation[1];
        if (iy < 0 || iy >= l.is.in_h || ix < 0 || ix >= l.is.in_w) return;
        source[n] = times.at(l, iy, ix), number[n++] = uint32_t(position * STEPS);
      });
      for (int c = 0; c < l.in_stride; c++) {
        first[row++] = uint32_t(out - entry.get());
        for (int i = 0; i < n; i++) out += list_bits(source[i][c], number[i], out);
        while ((out - entry.get()) % 4) *out++ = NOTHING;
      }
    }
    first[row] = uint32_t(out - entry.get());
  }
};

// Adds to the weights [group][row][GROUP], groups `apart`, the sums of a tile's gradients `g` where each row was active.
template <int G>
inline void add_by_row(const ByRow &by_row, int rows, const float *g, float *weight, size_t apart) {
  const uint16_t *entry = by_row.entry.get();
  for (int r = 0; r < rows; r++, weight += GROUP) {
    const uint32_t begin = by_row.first[r], end = by_row.first[r + 1];
    if (begin == end) continue;
    Group sum[4][G];
    for (int q = 0; q < 4; q++)
      for (int i = 0; i < G; i++) sum[q][i] = splat(0.f);
    for (const uint16_t *at = entry + begin; at < entry + end; at += 4)
      for (int q = 0; q < 4; q++) {
        const float *x = g + size_t(at[q]) * G * GROUP;
        for (int i = 0; i < G; i++) sum[q][i] = sum[q][i] + load(x + i * GROUP);
      }
    for (int i = 0; i < G; i++) {
      float *to = weight + i * apart;
      store(to, load(to) + ((sum[0][i] + sum[1][i]) + (sum[2][i] + sum[3][i])));
    }
  }
}

}  // namespace snn
