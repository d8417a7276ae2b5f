// Sixteen channels at a time, on whatever vectors the build has: the only place where processors differ.
//
// A Group is 16 floats side by side (16 channels of one position); a spike word is 16 bits, bit i for channel i.
#pragma once
#include <cmath>
#include <cstdint>
#include <cstring>
#if defined(__SSE2__)
#include <immintrin.h>
#endif

namespace snn {

constexpr int GROUP = 16;
#if defined(__AVX512F__)
constexpr int LANES = 16;
#elif defined(__AVX2__)
constexpr int LANES = 8;
#else
constexpr int LANES = 4;
#endif
constexpr int PARTS = GROUP / LANES;
using Word = uint16_t;

#define SNN_INLINE inline __attribute__((always_inline))

// Before a loop whose sums must stay in registers.
#define SNN_UNROLL _Pragma("GCC unroll 24")

typedef float vfloat __attribute__((vector_size(LANES * 4)));
typedef float vfloat_any __attribute__((vector_size(LANES * 4), aligned(4)));
typedef int32_t vint __attribute__((vector_size(LANES * 4)));
typedef int32_t vint_any __attribute__((vector_size(LANES * 4), aligned(4)));
typedef uint32_t vuint __attribute__((vector_size(LANES * 4)));

struct Group {
  vfloat part[PARTS];
};

// Sixteen bfloat16, a float's first 16 bits.
using Half = uint16_t;
typedef Half vhalf __attribute__((vector_size(LANES * 2)));
typedef Half vhalf_any __attribute__((vector_size(LANES * 2), aligned(2)));
struct HalfGroup {
  vhalf part[PARTS];
};

SNN_INLINE Group load(const float *p) {
  Group r;
  for (int i = 0; i < PARTS; i++) r.part[i] = *(const vfloat_any *)(p + LANES * i);
  return r;
}
SNN_INLINE void store(float *p, Group a) {
  for (int i = 0; i < PARTS; i++) *(vfloat_any *)(p + LANES * i) = a.part[i];
}
SNN_INLINE void store(Half *p, HalfGroup a) {
  for (int i = 0; i < PARTS; i++) *(vhalf_any *)(p + LANES * i) = a.part[i];
}
// a0, b0, a1, b1, …
SNN_INLINE void store_pairs(Half *p, HalfGroup a, HalfGroup b) {
  for (int i = 0; i < PARTS; i++)
    *(vint_any *)(p + 2 * LANES * i) =
        (vint)(__builtin_convertvector(b.part[i], vuint) << 16 | __builtin_convertvector(a.part[i], vuint));
}
SNN_INLINE Group splat(float x) {
  Group r;
  for (int i = 0; i < PARTS; i++) r.part[i] = x - (vfloat){};
  return r;
}
SNN_INLINE Group operator+(Group a, Group b) {
  for (int i = 0; i < PARTS; i++) a.part[i] += b.part[i];
  return a;
}
SNN_INLINE Group operator-(Group a, Group b) {
  for (int i = 0; i < PARTS; i++) a.part[i] -= b.part[i];
  return a;
}
SNN_INLINE Group operator*(Group a, Group b) {
  for (int i = 0; i < PARTS; i++) a.part[i] *= b.part[i];
  return a;
}
// a·b + c, rounded once where the processor can.
SNN_INLINE Group multiply_add(Group a, Group b, Group c) {
#if defined(__AVX512F__)
  c.part[0] = (vfloat)_mm512_fmadd_ps((__m512)a.part[0], (__m512)b.part[0], (__m512)c.part[0]);
#elif defined(__AVX2__)
  for (int i = 0; i < PARTS; i++)
    c.part[i] = (vfloat)_mm256_fmadd_ps((__m256)a.part[i], (__m256)b.part[i], (__m256)c.part[i]);
#else
  for (int i = 0; i < PARTS; i++) c.part[i] += a.part[i] * b.part[i];
#endif
  return c;
}
SNN_INLINE Group absolute(Group a) {
  for (int i = 0; i < PARTS; i++) a.part[i] = (vfloat)((vint)a.part[i] & ((vint){} + 0x7fffffff));
  return a;
}

// The nearest bfloat16; `a` keeps the rest.
SNN_INLINE HalfGroup take_half(Group &a) {
  HalfGroup r;
  for (int i = 0; i < PARTS; i++) {
#if defined(__AVX512BF16__)
    r.part[i] = (vhalf)_mm512_cvtneps_pbh((__m512)a.part[i]);
#else
    const vuint bits = (vuint)a.part[i];
    r.part[i] = __builtin_convertvector((bits + 0x7fff + (bits >> 16 & 1)) >> 16, vhalf);
#endif
    a.part[i] -= (vfloat)(__builtin_convertvector(r.part[i], vuint) << 16);
  }
  return r;
}

// 1/a to the last bit or two of a float, for a > 0; no less than 1e-37.
SNN_INLINE Group reciprocal(Group a) {
#if defined(__AVX512F__)
  __m512 x = _mm512_min_ps((__m512)a.part[0], _mm512_set1_ps(1e37f)), y = _mm512_rcp14_ps(x);
  a.part[0] = (vfloat)_mm512_mul_ps(y, _mm512_fnmadd_ps(x, y, _mm512_set1_ps(2.f)));
#else
  for (int i = 0; i < PARTS; i++) a.part[i] = 1.f / a.part[i];
#endif
  return a;
}

// Which channels have a > b.
SNN_INLINE Word greater(Group a, Group b) {
#if defined(__AVX512F__)
  return _mm512_cmp_ps_mask((__m512)a.part[0], (__m512)b.part[0], _CMP_GT_OQ);
#elif defined(__AVX2__)
  unsigned low = _mm256_movemask_ps(_mm256_cmp_ps((__m256)a.part[0], (__m256)b.part[0], _CMP_GT_OQ));
  unsigned high = _mm256_movemask_ps(_mm256_cmp_ps((__m256)a.part[1], (__m256)b.part[1], _CMP_GT_OQ));
  return Word(low | high << 8);
#else
  unsigned r = 0;
  for (int i = 0; i < PARTS; i++) {
    vint m = a.part[i] > b.part[i];
    for (int j = 0; j < LANES; j++) r |= unsigned(m[j] & 1) << (LANES * i + j);
  }
  return Word(r);
#endif
}

// a where the bit of the channel is set, else 0.
SNN_INLINE Group where(Word bits, Group a) {
#if defined(__AVX512F__)
  a.part[0] = (vfloat)_mm512_maskz_mov_ps(bits, (__m512)a.part[0]);
#else
  for (int i = 0; i < PARTS; i++) {
    vint lane;
    for (int j = 0; j < LANES; j++) lane[j] = 1 << (LANES * i + j);
    vint set = (((vint){} + int(bits)) & lane) != 0;
    a.part[i] = (vfloat)((vint)a.part[i] & set);
  }
#endif
  return a;
}

SNN_INLINE float sum(Group a) {
#if defined(__AVX512F__)
  return _mm512_reduce_add_ps((__m512)a.part[0]);
#else
  vfloat s = a.part[0];
  for (int i = 1; i < PARTS; i++) s += a.part[i];
  float r = 0;
  for (int j = 0; j < LANES; j++) r += s[j];
  return r;
#endif
}

SNN_INLINE bool all_zero(Group a) {
#if defined(__AVX512F__)
  return _mm512_test_epi32_mask((__m512i)a.part[0], _mm512_set1_epi32(0x7fffffff)) == 0;
#else
  int any = 0;
  for (int i = 0; i < PARTS; i++)
    for (int j = 0; j < LANES; j++) any |= a.part[i][j] != 0;
  return !any;
#endif
}

// Writes base + i for every set bit i, in order; returns how many. May write up to 16 numbers past them.
SNN_INLINE int list_bits(Word bits, uint32_t base, uint32_t *out) {
#if defined(__AVX512F__)
  const __m512i lanes = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  _mm512_storeu_si512(out, _mm512_maskz_compress_epi32(bits, _mm512_add_epi32(lanes, _mm512_set1_epi32(int(base)))));
  return __builtin_popcount(bits);
#else
  int n = 0;
  for (unsigned rest = bits; rest; rest &= rest - 1) out[n++] = base + unsigned(__builtin_ctz(rest));
  return n;
#endif
}

// The same for 32 channels; may write up to 32 numbers past them.
SNN_INLINE int list_bits(uint32_t bits, uint32_t base, uint32_t *out) {
  const int n = list_bits(Word(bits), base, out);
  return n + list_bits(Word(bits >> GROUP), base + GROUP, out + n);
}
SNN_INLINE int list_bits(uint32_t bits, uint32_t base, uint16_t *out) {
#if defined(__AVX512VBMI2__)
  const __m512i lanes = _mm512_set_epi16(31, 30, 29, 28, 27, 26, 25, 24, 23, 22, 21, 20, 19, 18, 17, 16, 15, 14, 13, 12,
                                         11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
  const __m512i rows = _mm512_maskz_compress_epi16(bits, _mm512_add_epi16(lanes, _mm512_set1_epi16(short(base))));
  const int n = __builtin_popcount(bits);
  // Rarely more than half: a short store costs less, since it seldom crosses a cache line.
  _mm256_storeu_si256((__m256i *)out, _mm512_castsi512_si256(rows));
  if (__builtin_expect(n > 16, 0)) _mm256_storeu_si256((__m256i *)(out + 16), _mm512_extracti64x4_epi64(rows, 1));
  return n;
#else
  int n = 0;
  for (; bits; bits &= bits - 1) out[n++] = uint16_t(base + unsigned(__builtin_ctz(bits)));
  return n;
#endif
}

// From a word of spikes for each of 32 steps to the steps of each channel: bit t of out[c] is bit c of spikes[t].
SNN_INLINE void transpose(const Word *spikes, uint32_t *out) {
#if defined(__AVX512BW__)
  const __m512i all = _mm512_loadu_si512(spikes);
  SNN_UNROLL
  for (int c = 0; c < GROUP; c++) out[c] = _mm512_test_epi16_mask(all, _mm512_set1_epi16(short(1u << c)));
#else
  std::memset(out, 0, GROUP * sizeof(uint32_t));
  for (int t = 0; t < 32; t++)
    for (unsigned rest = spikes[t]; rest; rest &= rest - 1) out[__builtin_ctz(rest)] |= 1u << t;
#endif
}

// 16 rows of 16 floats, `stride` apart, become the columns of 16 rows, `apart`.
inline void transpose(const float *from, size_t stride, float *to, size_t apart) {
#if defined(__AVX512F__)
  __m512 a[GROUP], b[GROUP];
  SNN_UNROLL
  for (int i = 0; i < GROUP; i++) a[i] = _mm512_loadu_ps(from + i * stride);
  SNN_UNROLL
  for (int i = 0; i < GROUP; i += 2) b[i] = _mm512_unpacklo_ps(a[i], a[i + 1]), b[i + 1] = _mm512_unpackhi_ps(a[i], a[i + 1]);
  // Four rows' columns j, 4 + j, 8 + j and 12 + j.
  SNN_UNROLL
  for (int i = 0; i < GROUP; i++) {
    const __m512d x = (__m512d)b[i / 4 * 4 + i % 4 / 2], y = (__m512d)b[i / 4 * 4 + i % 4 / 2 + 2];
    a[i] = (__m512)(i % 2 ? _mm512_unpackhi_pd(x, y) : _mm512_unpacklo_pd(x, y));
  }
  SNN_UNROLL
  for (int j = 0; j < 4; j++) {
    const __m512 even0 = _mm512_shuffle_f32x4(a[j], a[4 + j], 0x88), even1 = _mm512_shuffle_f32x4(a[8 + j], a[12 + j], 0x88);
    const __m512 odd0 = _mm512_shuffle_f32x4(a[j], a[4 + j], 0xdd), odd1 = _mm512_shuffle_f32x4(a[8 + j], a[12 + j], 0xdd);
    _mm512_storeu_ps(to + j * apart, _mm512_shuffle_f32x4(even0, even1, 0x88));
    _mm512_storeu_ps(to + (4 + j) * apart, _mm512_shuffle_f32x4(odd0, odd1, 0x88));
    _mm512_storeu_ps(to + (8 + j) * apart, _mm512_shuffle_f32x4(even0, even1, 0xdd));
    _mm512_storeu_ps(to + (12 + j) * apart, _mm512_shuffle_f32x4(odd0, odd1, 0xdd));
  }
#else
  for (int j = 0; j < GROUP; j++)
    for (int i = 0; i < GROUP; i++) to[j * apart + i] = from[i * stride + j];
#endif
}

// Writes the channels of the set bits side by side; returns how many. May write up to 16 floats.
SNN_INLINE int pack(Word bits, Group a, float *out) {
  const int n = __builtin_popcount(bits);
#if defined(__AVX512F__)
  const __m512 packed = _mm512_maskz_compress_ps(bits, (__m512)a.part[0]);
  _mm256_storeu_ps(out, _mm512_castps512_ps256(packed));
  if (__builtin_expect(n > 8, 0)) _mm512_storeu_ps(out, packed);
#else
  float lane[GROUP];
  store(lane, a);
  for (unsigned rest = bits; rest; rest &= rest - 1) *out++ = lane[__builtin_ctz(rest)];
#endif
  return n;
}

// The way back: channels from what stands side by side, 0 where the bit is not set. May read up to 16 floats.
SNN_INLINE Group unpack(Word bits, const float *from) {
#if defined(__AVX512F__)
  Group a;
  a.part[0] = (vfloat)_mm512_maskz_expand_ps(bits, _mm512_loadu_ps(from));
  return a;
#else
  float lane[GROUP] = {};
  for (unsigned rest = bits; rest; rest &= rest - 1) lane[__builtin_ctz(rest)] = *from++;
  return load(lane);
#endif
}

// The sums of four groups, each over its channels.
SNN_INLINE void four_sums(const Group *a, float *out) {
#if defined(__AVX512F__)
  const __m512 w = (__m512)a[0].part[0], x = (__m512)a[1].part[0], y = (__m512)a[2].part[0], z = (__m512)a[3].part[0];
  const __m512d low = (__m512d)_mm512_add_ps(_mm512_unpacklo_ps(w, x), _mm512_unpackhi_ps(w, x));
  const __m512d high = (__m512d)_mm512_add_ps(_mm512_unpacklo_ps(y, z), _mm512_unpackhi_ps(y, z));
  const __m512 all = _mm512_add_ps((__m512)_mm512_unpacklo_pd(low, high), (__m512)_mm512_unpackhi_pd(low, high));
  const __m256 half = _mm256_add_ps(_mm512_castps512_ps256(all), _mm512_extractf32x8_ps(all, 1));
  _mm_storeu_ps(out, _mm_add_ps(_mm256_castps256_ps128(half), _mm256_extractf128_ps(half, 1)));
#else
  for (int i = 0; i < 4; i++) out[i] = sum(a[i]);
#endif
}

// While one lives, numbers below 1e-38 count as zero on this thread: decaying states would become them, and slow.
class NoDenormals {
#if defined(__SSE2__)
 public:
  NoDenormals() : before_(_mm_getcsr()) { _mm_setcsr(before_ | 0x8040); }
  ~NoDenormals() { _mm_setcsr(before_); }

 private:
  unsigned before_;
#endif
};

}  // namespace snn
