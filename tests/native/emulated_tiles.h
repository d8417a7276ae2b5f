// In place of the matrix unit, for any processor and in sight of the sanitisers: what snnface/engine/src/tiles.h calls.
#pragma once
#include <cstdlib>
#include <cstring>

namespace snn {

constexpr bool MATRIX = true;

inline thread_local int units = 0;  // of this thread
inline thread_local unsigned char tiles[8][16][64];

// Its tiles are there while a unit lives.
inline auto tile(int t) {
  if (!units) std::abort();
  return tiles[t];
}

class MatrixUnit {
 public:
  MatrixUnit() { units++; }
  ~MatrixUnit() { units--; }
};

template <int T>
inline void zero_tile() {
  std::memset(tile(T), 0, sizeof tiles[T]);
}
template <int T>
inline void load_tile(const void *from, size_t stride) {
  for (int row = 0; row < 16; row++) std::memcpy(tile(T)[row], (const char *)from + row * stride, 64);
}
template <int T>
inline void store_tile(void *to, size_t stride) {
  for (int row = 0; row < 16; row++) std::memcpy((char *)to + row * stride, tile(T)[row], 64);
}
template <int SUM, int LEFT, int RIGHT>
inline void multiply_tiles() {
  auto number = [](int t, int row, int i) {
    uint16_t half;
    std::memcpy(&half, tile(t)[row] + 2 * i, 2);
    const uint32_t bits = uint32_t(half) << 16;
    float x;
    std::memcpy(&x, &bits, 4);
    return x;
  };
  for (int row = 0; row < 16; row++)
    for (int column = 0; column < 16; column++) {
      float sum;
      unsigned char *at = tile(SUM)[row] + 4 * column;
      std::memcpy(&sum, at, 4);
      for (int i = 0; i < 32; i++) sum += number(LEFT, row, i) * number(RIGHT, i / 2, 2 * column + i % 2);
      std::memcpy(at, &sum, 4);
    }
}

}  // namespace snn
