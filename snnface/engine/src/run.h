// A batch of clips on its way through a stack of layers: what is kept for the way back, and what threads work with.
//
// Kept: spikes as bits, and the neurons' states where a block begins. From these, membranes and lists of rows are
// computed again on the way back, in the cache, so that memory grows with neurons/4 bytes a step and not with 12. While
// memory is left of `keep`, lists are kept too, and of layers whose surrogate is compact the neurons near threshold.
#pragma once
#include <atomic>
#include <type_traits>
#include <vector>

#include "by_row.h"
#include "make_layer.h"
#include "pool.h"
#include "position.h"

namespace snn {

// Bytes a run for what could be computed again.
inline std::atomic<int64_t> keep{int64_t(128) << 20};

// The neurons of one image row that are within reach of their threshold, at its positions that are ever needed.
struct Near {
  Buffer<uint32_t> first;  // [chunk][n]: where the distances of its neurons begin, and at the end where the last end
  Buffer<Word> bits;       // [chunk][n][STEPS][groups of a chunk]
  Buffer<float> distance;  // v − θ, by step and channel
  size_t places = 0, words = 0, used = 0;

  void grow(size_t chunks, size_t positions, size_t groups) {
    places = chunks * positions, words = places * STEPS * groups;
    first.grow(places + 1), bits.grow(words);
  }
  size_t bytes() const { return (places + 1) * 4 + words * sizeof(Word) + used * 4; }
  Near copy(Arena &to) const {
    return {to.copy(first, places + 1), to.copy(bits, words), to.copy(distance, used), places, words, used};
  }
};

struct Kept {
  Buffer<Word> spikes;       // [clip][block][position][STEPS][words]
  Buffer<float> u, v;        // [clip][block − 1][chunk][position][width], from the second block on
  Buffer<int32_t> needed;    // [clip][position]: from this step on a neuron's gradient can matter
  Buffer<int32_t> before;    // [clip][position + 1]: how many positions before this one are ever needed
  std::vector<Patches> lists;  // [clip][block][y]; empty where they are not kept
  std::vector<Near> near;      // the same
};

struct Run {
  std::vector<Layer> layers;
  std::vector<Cells> cells;  // of each clip
  std::vector<Kept> kept;    // of each layer
  std::vector<Arena> arenas; // of each thread
  std::vector<std::vector<int>> shares;  // clips of each thread, where it takes whole ones
  int clips, steps, blocks, threads;
  bool keeps;  // whether the way back will come
  const int64_t limit = keep;
  std::atomic<int64_t> left{limit};
  std::vector<float> rates;    // [layer][clip][out_c], one layer after the other
  std::vector<float> readout;  // [step][clip][out_c]

  int block_steps(int block) const { return std::min(STEPS, steps - block * STEPS); }
  size_t rates_at(int layer) const {
    size_t n = 0;
    for (int l = 0; l < layer; l++) n += size_t(clips) * layers[l].is.out_c;
    return n;
  }
  size_t state_size(int l) const { return size_t(layers[l].positions()) * layers[l].out_stride; }
  Word *spikes(int l, int clip, int block) const {
    const Layer &a = layers[l];
    return kept[l].spikes.get() + (size_t(clip) * blocks + block) * a.positions() * STEPS * a.words();
  }
  // The states where a block (not the first) begins.
  float *state(const Buffer<float> &all, int l, int clip, int block) const {
    return all.get() + (size_t(clip) * (blocks - 1) + block - 1) * state_size(l);
  }
  const int32_t *needed(int l, int clip) const {
    return kept[l].needed.get() + size_t(clip) * layers[l].positions();
  }
  // Of row y, and what the next row begins with.
  const int32_t *before(int l, int clip, int y) const {
    return kept[l].before.get() + size_t(clip) * (layers[l].positions() + 1) + size_t(y) * layers[l].is.out_w;
  }
  // The most positions of a layer that a clip ever needs.
  size_t most_needed(int l) const {
    int32_t most = 0;
    for (int clip = 0; clip < clips; clip++) most = std::max(most, *before(l, clip, layers[l].is.out_h));
    return most;
  }
  size_t row(int l, int clip, int block, int y) const {
    return (size_t(clip) * blocks + block) * layers[l].is.out_h + y;
  }
  // Whether there is room for so many bytes more.
  bool take(size_t bytes) {
    if ((left -= int64_t(bytes)) >= 0) return true;
    left += int64_t(bytes);
    return false;
  }
};

// What a thread needs for itself.
struct Scratch {
  Arena *arena = nullptr;  // for what is kept
  Sources sources;
  Patches patches[FILTER_SIDE];
  Near near;
  Filter filter;
  Buffer<float> membrane, current, states, packed;
  Buffer<float> gradient;      // of a tile whose layer has no other place for it, [position][STEPS][width]
  Buffer<float> tile;          // of a tile's chunk, side by side, [position][STEPS][width], then NOTHING
  SpikeTimes times;
  std::vector<ByRow> by_row;   // of a band's tiles
  std::vector<Buffer<float>> counts;   // spikes of the clip by channel
  std::vector<Buffer<float>> weight;   // gradients, [group][row][GROUP]
  std::vector<Buffer<float>> learned;  // [3][out_stride]: alpha, beta, threshold
};

// The states of the clip at work, and on the way back what its blocks hand on.
struct Work {
  std::vector<Buffer<float>> u, v;     // like Kept
  // Of this block's synaptic input, at the positions that are ever needed.
  std::vector<Buffer<float>> gradient; // [n][STEPS][out_stride] …
  std::vector<Buffer<Half>> parts;     // … or [n][part][STEPS][parts_stride]
  std::vector<Buffer<float>> gu, after;
};

// A thread's share of a layer: bands of rows of the image, or chunks of channels where there are fewer bands than threads.
struct Share {
  int band, bands, chunk, chunks;

  bool whole_rows() const { return chunks == 1; }
};
inline Share share_of(int bands, int thread, int threads) {
  if (bands >= threads) return {thread, threads, 0, 1};
  return {0, 1, thread, threads};
}

// From which step on each position can have input, and so matters: the first event that reaches it, layer by layer.
inline void find_needed(Run &run, int clip) {
  for (size_t l = 0; l < run.layers.size(); l++) {
    const Layer &a = run.layers[l];
    int32_t *needed = run.kept[l].needed.get() + size_t(clip) * a.positions();
    if (l == 0) {
      const Cells &cells = run.cells[clip];
      const size_t size = size_t(a.is.in_h) * a.is.in_w;
      std::vector<int32_t> input(size, run.steps);
      for (int y = 0; y < a.is.in_h; y++)
        for (int t = 0; t < run.steps; t++) {
          const uint32_t *first = cells.first.data() + size_t(y) * run.steps + t;
          for (uint32_t i = first[0]; i < first[1]; i++) {
            int32_t &at = input[size_t(y) * a.is.in_w + (cells.place[i] >> 16)];
            at = std::min(at, int32_t(t));
          }
        }
      for (int p = 0; p < a.positions(); p++) {
        needed[p] = run.steps;
        sources(a.is, p / a.is.out_w, p % a.is.out_w,
                [&](int y, int x, int) { needed[p] = std::min(needed[p], input[size_t(y) * a.is.in_w + x]); });
      }
    } else {
      const int32_t *lower = run.needed(int(l) - 1, clip);
      for (int p = 0; p < a.positions(); p++) {
        needed[p] = run.steps;
        sources(a.is, p / a.is.out_w, p % a.is.out_w,
                [&](int y, int x, int) { needed[p] = std::min(needed[p], lower[y * a.is.in_w + x]); });
      }
    }
    // A threshold learns from silent neurons too.
    if (a.is.learn || a.restless)
      std::fill_n(needed, a.positions(), 0);
    int32_t *before = run.kept[l].before.get() + size_t(clip) * (a.positions() + 1);
    *before = 0;
    for (int p = 0; p < a.positions(); p++) before[p + 1] = before[p] + (needed[p] < run.steps);
  }
}

// The lists of one row.
inline void list_row(const Run &run, int l, int clip, int block, int y, Sources &sources, Patches &to) {
  const Layer &a = run.layers[l];
  const int steps = run.block_steps(block), begin = block * STEPS;
  const int32_t *before = run.before(l, clip, y);
  if (l == 0) return list_cells(a, run.cells[clip], before, y, begin, steps, run.steps, sources.count, to);
  const Word *spikes = run.spikes(l - 1, clip, block);
  const int32_t *needed = run.needed(l, clip) + y * a.is.out_w;
  a.valued ? list_spikes<true>(a, spikes, needed, before, y, begin, steps, sources, to)
           : list_spikes<false>(a, spikes, needed, before, y, begin, steps, sources, to);
}

// f(G, VALUED, CURRENT) as types of a layer, chosen once.
template <class F>
inline void by_kind(const Layer &l, F f) {
  auto third = [&](auto groups, auto valued) {
    l.current ? f(groups, valued, std::true_type{}) : f(groups, valued, std::false_type{});
  };
  auto second = [&](auto groups) {
    l.valued ? third(groups, std::true_type{}) : third(groups, std::false_type{});
  };
  if constexpr (LANES == GROUP)
    if (l.width == 2 * GROUP) return second(std::integral_constant<int, 2>{});
  second(std::integral_constant<int, 1>{});
}

inline Scratch make_scratch(const Run &run, bool gradients) {
  Scratch s;
  const size_t widest = 2 * GROUP;
  s.membrane = Buffer<float>(STEPS * widest), s.current = Buffer<float>(STEPS * widest);
  s.states = Buffer<float>(4 * widest), s.packed = Buffer<float>(STEPS * widest);
  if (gradients) {
    s.gradient = Buffer<float>(TILE_POSITIONS * STEPS * widest);
    s.tile = Buffer<float>((TILE_POSITIONS * STEPS + 1) * widest);
  }
  for (const Layer &l : run.layers) {
    if (!gradients) s.counts.emplace_back(size_t(l.out_stride));
    if (gradients) s.weight.emplace_back(l.chunks * l.chunk_weights());
    if (gradients) s.learned.emplace_back(size_t(3) * l.out_stride);
  }
  return s;
}

// Nothing in it is read before it is written, but for the padding of parts.
inline Work make_work(const Run &run, bool gradients) {
  Work w;
  for (size_t l = 0; l < run.layers.size(); l++) {
    const Layer &a = run.layers[l];
    const size_t n = run.state_size(int(l));
    if (!gradients) {
      w.u.emplace_back(a.current ? n : 0, false), w.v.emplace_back(n, false);
    } else {
      w.gu.emplace_back(n, false), w.after.emplace_back(n, false);
      const size_t read = l ? run.most_needed(int(l)) * STEPS : 0;
      w.gradient.emplace_back(a.in_parts() ? 0 : read * a.out_stride, false);
      w.parts.emplace_back(a.in_parts() ? 2 * read * a.parts_stride() : 0, a.parts_stride() != size_t(a.out_stride));
    }
  }
  return w;
}

// Whether each thread takes whole clips (no waiting) or all of them share one clip's rows.
inline bool clip_by_clip(int clips, int threads) { return clips % threads == 0 || clips >= 4 * threads; }

// Clips by thread: the one with the most events to whom has the fewest so far.
inline void share_clips(Run &run) {
  std::vector<int> order(run.clips);
  for (int i = 0; i < run.clips; i++) order[i] = i;
  std::stable_sort(order.begin(), order.end(),
                   [&](int a, int b) { return run.cells[a].place.size() > run.cells[b].place.size(); });
  std::vector<size_t> events(run.threads);
  run.shares.resize(run.threads);
  for (int clip : order) {
    const size_t least = std::min_element(events.begin(), events.end()) - events.begin();
    run.shares[least].push_back(clip);
    events[least] += run.cells[clip].place.size() + 1;
  }
}

}  // namespace snn
