// Where something happens in a step: sets of positions, and the active channels of each.
#pragma once
#include <algorithm>

#include "memory.h"
#include "simd.h"

namespace snn {

struct Place {
  int32_t y, x;
};

// A set of positions: a bit each, rows of whole words.
class Places {
 public:
  Places() = default;
  Places(int height, int width) { begin(height, width); }

  // Empty, for a layer of this size.
  void begin(int height, int width) {
    height_ = height, words_ = (width + BITS - 1) / BITS;
    bits_.grow(size_t(height_) * words_);
    clear();
  }
  void clear() { std::fill_n(bits_.get(), size_t(height_) * words_, uint64_t(0)); }
  void add(Place p) { bits_[size_t(p.y) * words_ + p.x / BITS] |= uint64_t(1) << p.x % BITS; }
  // To row y a row of another set of the same width.
  void add(int y, const Places &other, int row) {
    for (int i = 0; i < words_; i++) bits_[size_t(y) * words_ + i] |= other.bits_[size_t(row) * words_ + i];
  }
  // f(place, whether it is one of `others`) for every member of this set and of `others`, one of the same size, row by
  // row; those of which it answers true are this set's members afterwards.
  template <class F>
  void sweep(const Places &others, F f) {
    uint64_t *word = bits_.get();
    const uint64_t *other = others.bits_.get();
    for (int y = 0; y < height_; y++)
      for (int i = 0; i < words_; i++, word++, other++) {
        uint64_t left = 0;
        for (uint64_t rest = *word | *other; rest; rest &= rest - 1) {
          const int bit = __builtin_ctzll(rest);
          left |= uint64_t(f(Place{y, i * BITS + bit}, (*other >> bit & 1) != 0)) << bit;
        }
        *word = left;
      }
  }

 private:
  static constexpr int BITS = 64;
  int height_ = 0, words_ = 0;
  Buffer<uint64_t> bits_;
};

// What is active in one step: lists of channels, found by position. Values are 1 unless `valued`.
class Active {
 public:
  struct List {
    uint32_t first, count;
  };
  Buffer<uint32_t> channel;
  Buffer<float> value;
  bool valued = false;

  // Empty, for a layer of this size.
  void begin(int height, int width, bool with_values) {
    for (size_t i = 0; i < places_; i++) at_[index(place_[i])] = {0, 0};
    const size_t positions = size_t(height) * width;
    if (at_.size() < positions) at_ = Buffer<List>(positions), place_ = Buffer<Place>(positions + 1, false);
    width_ = width, places_ = count_ = 0, valued = with_values;
    room(GROUP);
  }
  uint32_t count() const { return count_; }
  // Where the next position's channels are to be written, up to `most` of them and 16 more; `value` has as much room.
  uint32_t *room(size_t most) {
    channel.grow(count_ + most + GROUP);
    if (valued) value.grow(count_ + most + GROUP);
    return channel.get() + count_;
  }
  // So many were written for p, a position that has none yet.
  void close(Place p, uint32_t channels) {
    at_[index(p)] = {channels ? count_ : 0, channels};
    place_[places_] = p;
    places_ += channels != 0;
    count_ += channels;
  }
  // f(index of [channel][position]) for everything that is active.
  template <class F>
  void each(int width, size_t positions, F f) const {
    for (size_t i = 0; i < places_; i++) {
      const Place p = place_[i];
      const List list = at(p);
      for (uint32_t j = 0; j < list.count; j++)
        f(channel[list.first + j] * positions + size_t(p.y) * width + p.x);
    }
  }
  size_t places() const { return places_; }
  Place place(size_t i) const { return place_[i]; }
  List at(Place p) const { return at_[index(p)]; }
  const List *row(int y) const { return at_.get() + size_t(y) * width_; }

 private:
  int width_ = 0;
  size_t places_ = 0;
  uint32_t count_ = 0;
  Buffer<List> at_;      // [positions], {0, 0} but for those in place_
  Buffer<Place> place_;  // positions with active channels, in the order they were closed in

  size_t index(Place p) const { return size_t(p.y) * width_ + p.x; }
};

}  // namespace snn
