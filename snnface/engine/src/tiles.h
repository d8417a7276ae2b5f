// The matrix unit's eight tiles of 16 rows of 64 bytes (Intel's AMX): the other file with a processor's own instructions.
#pragma once
#include <cstddef>
#include <cstdint>

#if defined(SNN_TILES)
#include SNN_TILES  // a test's own
#elif defined(__AMX_BF16__)

namespace snn {

constexpr bool MATRIX = true;

// While one lives, this thread may use the unit.
class MatrixUnit {
 public:
  MatrixUnit() {
    struct alignas(64) {
      uint8_t palette = 1, start = 0, reserved[14] = {};
      uint16_t bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
      uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
    } shape;
    asm volatile("ldtilecfg %0" ::"m"(shape));
  }
  ~MatrixUnit() { asm volatile("tilerelease"); }
};

template <int T>
inline void zero_tile() {
  asm volatile("tilezero %%tmm%c0" ::"i"(T));
}
template <int T>
inline void load_tile(const void *from, size_t stride) {
  asm volatile("tileloadd (%0,%1,1), %%tmm%c2" ::"r"(from), "r"(stride), "i"(T) : "memory");
}
template <int T>
inline void store_tile(void *to, size_t stride) {
  asm volatile("tilestored %%tmm%c2, (%0,%1,1)" ::"r"(to), "r"(stride), "i"(T) : "memory");
}
// sum[16][16 floats] += left[16][32 bfloat16] · right[16 pairs of rows][16][2].
template <int SUM, int LEFT, int RIGHT>
inline void multiply_tiles() {
  asm volatile("tdpbf16ps %%tmm%c2, %%tmm%c1, %%tmm%c0" ::"i"(SUM), "i"(LEFT), "i"(RIGHT));
}

}  // namespace snn

#else

namespace snn {

constexpr bool MATRIX = false;

class MatrixUnit {
 public:
  MatrixUnit() {}
  ~MatrixUnit() {}
};
// Never called.
template <int T>
void zero_tile();
template <int T>
void load_tile(const void *from, size_t stride);
template <int T>
void store_tile(void *to, size_t stride);
template <int SUM, int LEFT, int RIGHT>
void multiply_tiles();

}  // namespace snn

#endif
