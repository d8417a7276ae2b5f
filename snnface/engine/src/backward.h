// The way back, block by block from the last.
//
// Work is shared out in a fixed way: results depend on the number of threads only where gradients of different threads
// are added up, and where a shared clip has fewer bands of rows than threads.
#pragma once
#include "run.h"

namespace snn {

// Single products are worth it where fewer than one in so many neurons is near its threshold.
constexpr int SPARSE_BELOW = 2;

// Gradients that the caller gives: of the readout's membrane [step][clip][out_c·positions] and of each spiking layer's
// rates [clip][out_c], one layer after the other.
struct Given {
  const float *readout, *rates;
  int truncate;

  // Of every spike of a channel; 0 for those that the layer does not have, and for a readout.
  Group rate(const Run &run, int l, int clip, int channel) const {
    const Layer &a = run.layers[l];
    float r[GROUP] = {};
    const float *at = rates + run.rates_at(l) + size_t(clip) * a.is.out_c + channel;
    for (int c = 0; a.is.spiking && c < std::min(GROUP, a.is.out_c - channel); c++)
      r[c] = at[c] / (float(run.steps) * a.positions());
    return load(r);
  }
  // Of the membranes of channels channel … + width at one position, from … to, into out, steps `stride` apart.
  void membranes(const Run &run, const Layer &a, int clip, int from, int to, int position, int channel, int width,
                 float *out, int stride) const {
    for (int t = from; t < to; t++, out += stride)
      for (int c = 0; c < width; c++) {
        const size_t at = (size_t(t) * run.clips + clip) * a.is.out_c + channel + c;
        out[c] = channel + c < a.is.out_c ? readout[at * a.positions() + position] : 0.f;
      }
  }
};

// In place of a slope: only neurons near their threshold have one.
struct OnlyNear {
  Group slope;
};

// Tiles of the filter along one axis of a layer's image; tile 0 begins at input 1 − padding.
struct Tiles {
  int padding, first, count;  // tiles first … first + count cover the image

  Tiles(int padding, int side) : padding(padding), first(below(padding - 1)) {
    count = below(side - 2 + padding) - first + 1;
  }
  int begin(int tile) const { return FILTER_SIDE * tile + 1 - padding; }
  // Products that an input takes without the filter.
  int taps(int input, int outputs) const {
    const int at = input + padding, u = at / 2;
    return at % 2 ? u < outputs : (u < outputs) + (u >= 1 && u <= outputs);
  }

 private:
  static int below(int n) { return n < 0 ? -1 : n / FILTER_SIDE; }
};

inline int bands_of(const Layer &l, const Layer *above) {
  return l.band == 1 ? l.is.out_h : Tiles(above->is.padding[0], l.is.out_h).count;
}

// One block of one layer on its way back; chunks of G groups.
template <int G, bool VALUED, bool CURRENT, class Slope>
class BackwardBlock {
  static constexpr int W = G * GROUP;

 public:
  BackwardBlock(const Run &run, int l, int clip, int block, const Given &given, Work &work, Scratch &scratch)
      : run(run),
        a(run.layers[l]),
        above(l + 1 < int(run.layers.size()) ? &run.layers[l + 1] : nullptr),
        kept(run.kept[l]),
        given(given),
        work(work),
        scratch(scratch),
        l(l),
        clip(clip),
        block(block),
        steps(run.block_steps(block)),
        begin(block * STEPS),
        high(a.is.out_h),
        wide(a.is.out_w),
        positions(a.positions()),
        stride(l && !a.in_parts() ? a.out_stride : W),
        tiled(a.band > 1),
        side(tiled ? FILTER_SIDE : TILE_POSITIONS),
        needed(run.needed(l, clip)),
        before(run.before(l, clip, 0)),
        slope{splat(a.is.slope)},
        down(tiled ? above->is.padding[0] : 0, high),
        across(tiled ? above->is.padding[1] : 0, wide),
        taps(above ? above->taps : 0) {}

  void run_share(const Share &share) {
    const int bands = bands_of(a, above);
    for (int band = share.band; band < bands; band += share.bands) {
      const int top = tiled ? down.begin(down.first + band) : band;
      y0 = std::max(0, top), y1 = std::min(high, top + a.band);
      find_lists();
      const int tiles = tiled ? across.count : (wide + side - 1) / side;
      list_by_row(tiles);
      for (int chunk = share.chunk; chunk < a.chunks; chunk += share.chunks) {
        Chunk c(*this, chunk);
        for (int i = 0; i < tiles; i++) {
          const int left = tile_at(i);
          const bool filled = tiled && filter(chunk, top, left, down.first + band, across.first + i);
          each_position([&](int y, int x, int, int from) {
            neurons(c, y, x, filled);
            if (a.in_parts()) split_gradient(chunk, y, x, from);
          });
          weights(chunk, i);
        }
        if (a.is.learn) c.add_learned(scratch.learned[l].get());
      }
    }
  }

 private:
  struct Chunk {
    int chunk;
    Neurons<G> neurons;
    Learned<G> learned;
    Group rate[G];
    int out_stride;

    Chunk(const BackwardBlock &b, int chunk) : chunk(chunk), neurons(b.a, chunk), out_stride(b.a.out_stride) {
      for (int i = 0; i < G; i++) {
        learned.alpha[i] = learned.beta[i] = learned.threshold[i] = splat(0.f);
        rate[i] = b.given.rate(b.run, b.l, b.clip, chunk * W + i * GROUP);
      }
    }
    void add_learned(float *sums) const {
      const Group *const of[] = {learned.alpha, learned.beta, learned.threshold};
      for (int k = 0; k < 3; k++)
        for (int i = 0; i < G; i++) {
          float *to = sums + size_t(k) * out_stride + chunk * W + i * GROUP;
          store(to, load(to) + of[k][i]);
        }
    }
  };

  // How many positions of row y, left of x, are ever needed.
  int needed_before(int y, int x) const { return before[y * wide + x] - before[y * wide]; }
  int from_of(int y, int x) const { return std::max(0, needed[y * wide + x] - begin); }

  // Columns of a band's tile; returns where it begins, maybe outside the image.
  int tile_at(int i) {
    const int left = tiled ? across.begin(across.first + i) : i * side;
    x0 = std::max(0, left), x1 = std::min(wide, left + side);
    return left;
  }
  // f(y, x, number in the tile, first step) for the tile's positions that have work.
  template <class F>
  void each_position(F f) const {
    for (int y = y0, n = 0; y < y1; y++)
      for (int x = x0; x < x1; x++, n++)
        if (const int from = from_of(y, x); from < steps) f(y, x, n, from);
  }

  // The gradient of a position: of its spikes at first, then of its synaptic input, which the layer below reads.
  float *place(int chunk, int y, int x) const {
    if (l && !a.in_parts()) return work.gradient[l].get() + size_t(before[y * wide + x]) * STEPS * stride + chunk * W;
    return scratch.gradient.get() + ((y - y0) * (x1 - x0) + x - x0) * STEPS * W;
  }

  void find_lists() {
    for (int y = y0; y < y1; y++) {
      const Patches &known = kept.lists[run.row(l, clip, block, y)];
      lists[y - y0] = known.first.size() ? &known : &scratch.patches[y - y0];
      if (!known.first.size()) list_row(run, l, clip, block, y, scratch.sources, scratch.patches[y - y0]);
    }
  }

  // The spikes' gradients of a whole tile, where that takes fewer products than position by position.
  bool filter(int chunk, int top, int left, int tile_y, int tile_x) {
    int first = steps, products = 0;
    float *to[FILTER_SIDE][FILTER_SIDE] = {};
    for (int y = y0; y < y1; y++)
      for (int x = x0; x < x1; x++) {
        const int from = from_of(y, x);
        if (from >= steps) continue;
        to[y - top][x - left] = place(chunk, y, x);
        first = std::min(first, from);
        products += down.taps(y, above->is.out_h) * across.taps(x, above->is.out_w) * (steps - from);
      }
    if (products <= FILTER_PRODUCTS * FILTER_PRODUCTS * (steps - first)) return false;
    const float *outputs[3][3];
    for (int i = 0; i < 3; i++)
      for (int j = 0; j < 3; j++) {
        const int y = 2 * tile_y + i, x = 2 * tile_x + j;
        outputs[i][j] = nullptr;
        if (y < 0 || y >= above->is.out_h || x < 0 || x >= above->is.out_w) continue;
        const int32_t *at = run.before(l + 1, clip, y) + x;
        if (at[1] > at[0]) outputs[i][j] = work.gradient[l + 1].get() + size_t(*at) * STEPS * above->out_stride;
      }
    filtered<G>(outputs, above->filter.get() + size_t(chunk) * 16 * above->out_stride * W, above->is.out_c,
                above->out_stride, first, steps, to, stride, scratch.filter);
    return true;
  }

  // A position's neurons once more, from where the block begins.
  int again(const Chunk &c, int y, int x, size_t state, const Notes &notes) {
    const int p = y * wide + x;
    const bool fresh = block == 0 || needed[p] >= begin;
    float *u0 = scratch.states.get(), *v0 = u0 + W, *u = v0 + W, *v = u + W;
    for (int i = 0; i < G; i++) {
      const size_t at = state + i * GROUP;
      const Group us = fresh || !CURRENT ? splat(0.f) : load(run.state(kept.u, l, clip, block) + at);
      const Group vs = fresh ? splat(0.f) : load(run.state(kept.v, l, clip, block) + at);
      store(u0 + i * GROUP, us), store(u + i * GROUP, us), store(v0 + i * GROUP, vs), store(v + i * GROUP, vs);
    }
    const Patches &patches = *lists[y - y0];
    return forward_position<G, VALUED, CURRENT>(c.neurons, a.chunk_weight(c.chunk), patches.of(needed_before(y, x)),
                                                rows_of<VALUED>(patches).get(), patches.value.get(), from_of(y, x),
                                                steps, fresh, u, v, notes);
  }

  // Puts into `taps` those of the layer above that read the spikes of a chunk at position (y, x); returns how many.
  int find_taps(int chunk, int y, int x) {
    const int32_t *read = run.before(l + 1, clip, 0);
    int n = 0;
    each_reader(above->is, y, x, [&](size_t position, size_t tap) {
      Tap &to = taps[n++];
      const size_t block = size_t(chunk) * above->taps + tap, at = size_t(read[position]) * STEPS;
      if (above->in_parts()) {
        const size_t parts = 2 * above->parts_stride();
        to.left = work.parts[l + 1].get() + at * parts;
        to.right = above->down_parts.get() + block * parts * W;
        return;
      }
      to.g = work.gradient[l + 1].get() + at * above->out_stride;
      to.down = above->down.get() + block * above->out_stride * W;
      if (above->across.size())
        to.across = above->across.get() + (tap * above->in_stride + size_t(chunk) * W) * above->out_stride;
    });
    return n;
  }

  void neurons(Chunk &c, int y, int x, bool filled) {
    const size_t state = (size_t(c.chunk) * positions + y * wide + x) * W;
    const int n = above && !filled ? find_taps(c.chunk, y, x) : 0;
    if constexpr (std::is_same_v<Slope, OnlyNear>)
      near_neurons(c, y, x, state, n);
    else
      all_neurons(c, y, x, state, n, filled);
  }

  void all_neurons(Chunk &c, int y, int x, size_t state, int n, bool filled) {
    const int p = y * wide + x, from = from_of(y, x);
    float *g = place(c.chunk, y, x), *membrane = scratch.membrane.get();
    float *current = a.is.learn ? scratch.current.get() : nullptr;
    Notes notes;
    notes.membrane = membrane, notes.current = current;
    again(c, y, x, state, notes);
    if (n) dense_product(n, from, g, stride);
    if (!a.is.spiking)
      given.membranes(run, a, clip, begin + from, begin + steps, p, c.chunk * W, W, g + size_t(from) * stride, stride);
    const float *u0 = scratch.states.get(), *v0 = u0 + W;
    backward_position<G>(c.neurons, slope, a.is.spiking, a.is.detach_reset, from, steps, begin, given.truncate,
                         block == run.blocks - 1, membrane, CURRENT ? current : nullptr, u0, v0, c.rate,
                         n || filled || !a.is.spiking, g, stride, work.gu[l].get() + state,
                         work.after[l].get() + state, a.is.learn ? &c.learned : nullptr);
  }

  void near_neurons(Chunk &c, int y, int x, size_t state, int n) {
    const int p = y * wide + x, from = from_of(y, x);
    const Near &known = kept.near[run.row(l, clip, block, y)];
    const Word *bits;
    const float *distance;
    int near;
    if (known.first.size()) {
      const size_t i = size_t(c.chunk) * needed_before(y, wide) + needed_before(y, x);
      bits = known.bits.get() + i * STEPS * G, distance = known.distance.get() + known.first[i];
      near = int(known.first[i + 1] - known.first[i]);
    } else {
      scratch.near.grow(1, 1, G), scratch.near.distance.grow(STEPS * W);
      bits = scratch.near.bits.get(), distance = scratch.near.distance.get();
      Notes notes;
      notes.near = scratch.near.bits.get(), notes.distance = scratch.near.distance.get();
      near = again(c, y, x, state, notes);
    }
    float *packed = scratch.packed.get(), *dense = scratch.membrane.get();
    if (n && near * SPARSE_BELOW < (steps - from) * W) {
      products<G>(taps.data(), n, from, steps, bits, above->out_stride, packed);
    } else if (n) {
      dense_product(n, from, dense, W);
      float *to = packed;
      for (int t = from; t < steps; t++)
        for (int i = 0; i < G; i++) to += pack(bits[t * G + i], load(dense + t * W + i * GROUP), to);
    }
    const Word *spikes = run.spikes(l, clip, block) + size_t(p) * STEPS * a.words() + c.chunk * G;
    backward_near<G>(c.neurons, slope.slope, a.is.detach_reset, from, steps, begin, given.truncate,
                     block == run.blocks - 1, bits, distance + near, n ? packed + near : nullptr, c.rate, spikes,
                     a.words(), place(c.chunk, y, x), stride, work.gu[l].get() + state, work.after[l].get() + state);
  }

  // The gradients of all spikes of a position, from n taps; steps `apart`.
  void dense_product(int n, int from, float *to, int apart) {
    if constexpr (MATRIX)
      if (above->in_parts()) return product_of_parts<G>(taps.data(), n, from, steps, above->parts_stride(), to, apart);
    product<G>(taps.data(), n, from, steps, above->is.out_c, above->out_stride, nullptr, nullptr, to, apart);
  }

  // The gradient of a position's synaptic input as the layer below reads it.
  void split_gradient(int chunk, int y, int x, int from) {
    const float *g = place(chunk, y, x);
    const size_t parts_stride = a.parts_stride();
    Half *to = work.parts[l].get() + size_t(before[y * wide + x]) * STEPS * 2 * parts_stride + chunk * W;
    for (int t = from; t < steps; t++)
      for (int i = 0; i < G; i++)
        split_left(load(g + t * W + i * GROUP), to + t * parts_stride + i * GROUP, STEPS * parts_stride);
  }

  // Rows' lists of the tiles of a band, whatever the chunk.
  void list_by_row(int tiles) {
    if constexpr (VALUED) return;
    SpikeTimes *times = nullptr;
    if (scratch.by_row.size() < size_t(tiles)) scratch.by_row.resize(tiles);
    for (int i = 0; i < tiles; i++) {
      tile_at(i);
      size_t total = 0;
      each_position([&](int y, int x, int, int from) {
        const uint32_t *first = lists[y - y0]->of(needed_before(y, x));
        total += first[steps] - first[from];
      });
      ByRow &by_row = scratch.by_row[i];
      by_row.few = total < size_t(a.rows) * ROW_COSTS;
      if (by_row.few) continue;
      if (!times) {
        times = &scratch.times;
        const int top = y0 * a.is.stride[0] - a.is.padding[0];
        const int bottom = (y1 - 1) * a.is.stride[0] - a.is.padding[0] + (a.is.kernel[0] - 1) * a.is.dilation[0];
        times->of(a, run.spikes(l - 1, clip, block), run.needed(l - 1, clip), std::max(0, top),
                  std::min(a.is.in_h, bottom + 1), steps, begin + steps);
      }
      by_row.list(a, *times, total, [&](auto f) { each_position(f); });
    }
  }

  void weights(int chunk, int tile) {
    const size_t apart = size_t(a.rows + PADDING) * GROUP;
    float *weight = scratch.weight[l].get() + chunk * G * apart;
    if (VALUED || scratch.by_row[tile].few) {
      // One group at a time, whose weights stay in the first-level cache.
      for (int i = 0; i < G; i++)
        each_position([&](int y, int x, int, int from) {
          const Patches &patches = *lists[y - y0];
          scatter<VALUED>(place(chunk, y, x) + i * GROUP, stride, patches.of(needed_before(y, x)),
                          rows_of<VALUED>(patches).get(), patches.value.get(), from, steps, weight + i * apart);
        });
    } else {
      float *to = scratch.tile.get();
      each_position([&](int y, int x, int n, int from) {
        const float *g = place(chunk, y, x);
        for (int t = from; t < steps; t++)
          for (int i = 0; i < G; i++) store(to + (n * STEPS + t) * W + i * GROUP, load(g + t * stride + i * GROUP));
      });
      // Each time: of another layer's wider chunk, gradients lie there.
      for (int i = 0; i < G; i++) store(to + ByRow::NOTHING * W + i * GROUP, splat(0.f));
      add_by_row<G>(scratch.by_row[tile], a.rows, to, weight, apart);
    }
  }

  const Run &run;
  const Layer &a, *above;
  const Kept &kept;
  const Given &given;
  Work &work;
  Scratch &scratch;
  const int l, clip, block, steps, begin, high, wide, positions, stride;
  const bool tiled;
  const int side;  // of a tile
  const int32_t *needed, *before;
  const Slope slope;
  const Tiles down, across;  // of the filter, which puts rows and columns together
  std::vector<Tap> taps;
  int y0 = 0, y1 = 0, x0 = 0, x1 = 0;  // the tile at work
  const Patches *lists[FILTER_SIDE] = {};
};

inline void backward_layer(const Run &run, int l, int clip, int block, Share share, const Given &given, Work &work,
                           Scratch &scratch) {
  by_kind(run.layers[l], [&](auto g, auto valued, auto current) {
    auto with = [&](auto slope) {
      BackwardBlock<g.value, valued.value, current.value, decltype(slope)>(run, l, clip, block, given, work, scratch)
          .run_share(share);
    };
    if (compact(run.layers[l].is)) return with(OnlyNear{splat(1.f)});
    switch (run.layers[l].is.surrogate) {
      case FAST_SIGMOID: return with(FastSigmoid{splat(1.f)});
      case ATAN: return with(Atan{splat(1.f)});
      default: return with(Triangle{splat(1.f)});
    }
  });
}

// Gradients of one layer for the caller: weight in its order, decays and threshold [3][out_c].
struct Gradients {
  float *weight, *learned;
};

inline void backward(const Run &run, const Given &given, const std::vector<Gradients> &out) {
  const int n = run.threads, layers = int(run.layers.size());
  std::vector<Scratch> scratch;
  for (int i = 0; i < n; i++) scratch.push_back(make_scratch(run, true));
  if (clip_by_clip(run.clips, n)) {
    parallel(n, [&](int thread, int threads) {
      NoDenormals quick;
      MatrixUnit unit;
      Work work = make_work(run, true);
      for (int clip : run.shares[thread]) {
        for (int block = run.blocks - 1; block >= 0; block--)
          for (int l = layers - 1; l >= 0; l--)
            backward_layer(run, l, clip, block, {0, 1, 0, 1}, given, work, scratch[thread]);
      }
    });
  } else {
    Work work = make_work(run, true);
    for (int clip = 0; clip < run.clips; clip++) {
      for (int block = run.blocks - 1; block >= 0; block--)
        for (int l = layers - 1; l >= 0; l--)
          parallel(n, [&](int thread, int threads) {
            NoDenormals quick;
            MatrixUnit unit;
            const int bands = bands_of(run.layers[l], l + 1 < layers ? &run.layers[l + 1] : nullptr);
            backward_layer(run, l, clip, block, share_of(bands, thread, threads), given, work, scratch[thread]);
          });
    }
  }
  for (int l = 0; l < layers; l++) {
    const Layer &a = run.layers[l];
    parallel(n, [&](int thread, int threads) {
      each_block(a, thread, threads, [&](const WeightBlock &b, float *tile) {
        for (int c = 0; c < b.ins; c++) {
          float sums[GROUP * GROUP];
          for (int k = 0; k < b.taps; k++) {
            const size_t at = (size_t(b.out / GROUP) * (a.rows + PADDING) + b.row(a, k, c)) * GROUP;
            Group sum = splat(0.f);
            for (const Scratch &s : scratch) sum = sum + load(&s.weight[l][at]);
            store(sums + k * GROUP, sum);
          }
          if (b.whole())
            transpose(sums, GROUP, tile + b.at(0, c, 0), WeightBlock::TILE_ROW);
          else
            for (int k = 0; k < b.taps; k++)
              for (int j = 0; j < b.outs; j++) tile[b.at(j, c, k)] = sums[k * GROUP + b.out % GROUP + j];
        }
        for (int j = 0; j < b.outs; j++)
          for (int c = 0; c < b.ins; c++)
            b.copy_taps(tile + b.at(j, c, 0), out[l].weight + b.index + j * b.outer + c * b.inner);
      });
    });
    for (int i = 1; i < n; i++)
      for (size_t j = 0; j < scratch[0].learned[l].size(); j++) scratch[0].learned[l][j] += scratch[i].learned[l][j];
    if (a.is.learn)
      for (int k = 0; k < 3; k++)
        for (int c = 0; c < a.is.out_c; c++)
          out[l].learned[k * a.is.out_c + c] = scratch[0].learned[l][size_t(k) * a.out_stride + c];
  }
}

}  // namespace snn
