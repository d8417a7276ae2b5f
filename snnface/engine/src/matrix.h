// Products of matrices on a processor's matrix unit: 16×16 sums of 32 products by one instruction.
//
// The unit multiplies bfloat16, the first 16 bits of a float with 8 of its 24 digits, and sums in float. A float is split
// into two such parts, the second of what the first leaves; together they hold it to 2⁻¹⁶. Of their four products that of
// the smaller parts is left out: no more than 3·2⁻¹⁶ of a product of floats is lost, and far less of a sum of many.
//     left   [part][32 rows][depth], rows and parts apart
//     right  [depth / 32][part][groups][TILE], TILE: [16 pairs of rows][16 columns][2]
#pragma once
#include "memory.h"
#include "simd.h"
#include "tiles.h"

namespace snn {

// Numbers that one instruction sums, and numbers of a tile.
constexpr int DEPTH = 32, TILE = 16 * DEPTH;

inline int depths(int rows) { return (rows + DEPTH - 1) / DEPTH; }

// Splits a group of a left side's row.
SNN_INLINE void split_left(Group x, Half *to, size_t parts_apart) {
  store(to, take_half(x));
  store(to + parts_apart, take_half(x));
}

// Splits rows [rows][G groups] into a right side; where rows end, zeros follow.
template <int G>
inline void split_right(const float *from, int rows, Half *to) {
  auto at = [&](int row, int g) { return row < rows ? load(from + (size_t(row) * G + g) * GROUP) : splat(0.f); };
  for (int d = 0; d < depths(rows); d++, to += 2 * G * TILE)
    for (int row = 0; row < DEPTH; row += 2)
      for (int g = 0; g < G; g++) {
        Group even = at(d * DEPTH + row, g), odd = at(d * DEPTH + row + 1, g);
        for (int p = 0; p < 2; p++) store_pairs(to + (p * G + g) * TILE + row * GROUP, take_half(even), take_half(odd));
      }
}

// Rows of a left side that count: 0 … 15, 16 … 31.
enum Halves { LOW = 1, HIGH = 2, BOTH = 3 };

// Sums [32][G groups], in the unit.
template <int G, int ROWS>
struct Sums {
  static SNN_INLINE void zero() {
    zero_tile<0>(), zero_tile<1>(), zero_tile<2>(), zero_tile<3>();
  }
  // Adds left · right for one depth, the smaller products first; the left's rows are `stride`.
  static SNN_INLINE void add(const Half *left, size_t stride, size_t parts_apart, const Half *right) {
    load_left(left + parts_apart, stride);
    load_right(right);
    multiply();
    load_left(left, stride);
    multiply();
    load_right(right + G * TILE);
    multiply();
  }
  static SNN_INLINE void put(float *to, size_t stride) {
    float *high = to + 16 * stride;
    if (ROWS & LOW) store_tile<0>(to, stride * 4);
    if (ROWS & LOW && G == 2) store_tile<1>(to + GROUP, stride * 4);
    if (ROWS & HIGH) store_tile<2>(high, stride * 4);
    if (ROWS & HIGH && G == 2) store_tile<3>(high + GROUP, stride * 4);
  }

 private:
  static SNN_INLINE void load_left(const Half *from, size_t stride) {
    if (ROWS & LOW) load_tile<4>(from, stride * 2);
    if (ROWS & HIGH) load_tile<5>(from + 16 * stride, stride * 2);
  }
  static SNN_INLINE void load_right(const Half *from) {
    load_tile<6>(from, 64);
    if (G == 2) load_tile<7>(from + TILE, 64);
  }
  static SNN_INLINE void multiply() {
    if (ROWS & LOW) multiply_tiles<0, 4, 6>();
    if (ROWS & LOW && G == 2) multiply_tiles<1, 4, 7>();
    if (ROWS & HIGH) multiply_tiles<2, 5, 6>();
    if (ROWS & HIGH && G == 2) multiply_tiles<3, 5, 7>();
  }
};

}  // namespace snn
