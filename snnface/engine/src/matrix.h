// Products of matrices on a processor's matrix unit: 16×16 sums of 32 products by one instruction.
//
// The unit multiplies bfloat16, a float's first 16 bits with 8 of its 24 digits, and sums in float. A float is the sum of
// three such parts, each holding the digits that the ones before leave; two leave 2⁻¹⁸ of it. Spikes are one part.
//     left   [32 steps][32], parts `apart`              sources or gradients, step by step
//     right  [part][G groups][16 pairs][16 columns][2]  rows of weights side by side in pairs
#pragma once
#include "memory.h"
#include "simd.h"
#include "tiles.h"

namespace snn {

using Half = uint16_t;

// Numbers that one instruction sums, and numbers of a tile.
constexpr int DEPTH = 32, TILE = 16 * DEPTH;

// Parts of a float: all of them, or what gradients are computed with.
constexpr int WHOLE = 3, NEARLY = 2;

// The part of x that fits, as the upper halves of its lanes; x keeps the rest.
SNN_INLINE vuint split(Group &x) {
  static_assert(!MATRIX || PARTS == 1, "a group is one vector");
  const vuint bits = (vuint)x.part[0], odd = bits >> 16 & 1;
  const vuint part = (bits + 0x7fff + odd) & 0xffff0000;
  x.part[0] -= (vfloat)part;
  return part;
}

// Splits two rows, side by side in pairs: [part][G][TILE], of which this is one group's pair of rows.
template <int P, int G>
SNN_INLINE void split_pair(Group even, Group odd, Half *out) {
  for (int p = 0; p < P; p++) {
    const vuint low = split(even), high = split(odd);
    *(vint_any *)(out + p * G * TILE) = (vint)(high | low >> 16);
  }
}

// Splits one row, parts `apart`.
template <int P>
SNN_INLINE void split_row(Group x, Half *out, size_t apart) {
  for (int p = 0; p < P; p++) {
    const vuint part = split(x) >> 16;
    typedef Half halves __attribute__((vector_size(LANES * 2), aligned(2)));
    *(halves *)(out + p * apart) = __builtin_convertvector(part, halves);
  }
}

inline int depths(int rows) { return (rows + DEPTH - 1) / DEPTH; }

// The right side from rows [rows][G groups]: [depth][part][G][TILE]; where rows end, zeros follow.
template <int P, int G>
inline void split_rows(const float *from, int rows, Half *out) {
  for (int d = 0; d < depths(rows); d++, out += P * G * TILE)
    for (int pair = 0; pair < DEPTH / 2; pair++)
      for (int g = 0; g < G; g++) {
        const int row = d * DEPTH + 2 * pair;
        auto at = [&](int r) { return r < rows ? load(from + (size_t(r) * G + g) * GROUP) : splat(0.f); };
        split_pair<P, G>(at(row), at(row + 1), out + g * TILE + pair * 2 * GROUP);
      }
}

// Rows of a left side that count: 0 … 15, 16 … 31.
enum Halves { NEITHER = 0, LOW = 1, HIGH = 2, BOTH = 3 };

// The rows among from … to.
inline Halves halves(int from, int to) { return Halves((from < DEPTH / 2 ? LOW : 0) | (to > DEPTH / 2 ? HIGH : 0)); }

// Sums [32][G groups], in the unit.
template <int G>
class Sums {
 public:
  static SNN_INLINE void zero() {
    zero_tile<0>(), zero_tile<2>();
    if (G == 2) zero_tile<1>(), zero_tile<3>();
  }
  // From memory and to it: groups `apart`, rows `stride`.
  static SNN_INLINE void get(Halves rows, const float *from, size_t apart, size_t stride) {
    const float *high = from + 16 * stride;
    if (rows & LOW) load_tile<0>(from, stride * 4);
    if (G == 2 && rows & LOW) load_tile<1>(from + apart, stride * 4);
    if (rows & HIGH) load_tile<2>(high, stride * 4);
    if (G == 2 && rows & HIGH) load_tile<3>(high + apart, stride * 4);
  }
  static SNN_INLINE void put(Halves rows, float *to, size_t apart, size_t stride) {
    float *high = to + 16 * stride;
    if (rows & LOW) store_tile<0>(to, stride * 4);
    if (G == 2 && rows & LOW) store_tile<1>(to + apart, stride * 4);
    if (rows & HIGH) store_tile<2>(high, stride * 4);
    if (G == 2 && rows & HIGH) store_tile<3>(high + apart, stride * 4);
  }
  // Adds left · right, the smaller parts first. The left's rows are `stride`, its parts `apart`.
  template <int LEFT, int RIGHT>
  static SNN_INLINE void add(Halves rows, const Half *left, size_t stride, size_t apart, const Half *right) {
    if (rows == BOTH) return add_rows<LEFT, RIGHT, BOTH>(left, stride, apart, right);
    if (rows == LOW) return add_rows<LEFT, RIGHT, LOW>(left, stride, apart, right);
    if (rows == HIGH) return add_rows<LEFT, RIGHT, HIGH>(left, stride, apart, right);
  }

 private:
  template <int H>
  static SNN_INLINE void load_left(const Half *left, size_t stride) {
    if (H & LOW) load_tile<4>(left, stride * 2);
    if (H & HIGH) load_tile<5>(left + 16 * stride, stride * 2);
  }
  template <int H>
  static SNN_INLINE void multiply() {
    if (H & LOW) multiply_tiles<0, 4, 6>();
    if (G == 2 && H & LOW) multiply_tiles<1, 4, 7>();
    if (H & HIGH) multiply_tiles<2, 5, 6>();
    if (G == 2 && H & HIGH) multiply_tiles<3, 5, 7>();
  }
  template <int LEFT, int RIGHT, int H>
  static SNN_INLINE void add_rows(const Half *left, size_t stride, size_t apart, const Half *right) {
    load_left<H>(left, stride);
    for (int p = RIGHT - 1; p >= 0; p--) {
      load_tile<6>(right + p * G * TILE, 64);
      if (G == 2) load_tile<7>(right + (p * G + 1) * TILE, 64);
      multiply<H>();
    }
    if (LEFT == 1) return;
    load_left<H>(left + apart, stride);
    multiply<H>();
  }
};

}  // namespace snn
