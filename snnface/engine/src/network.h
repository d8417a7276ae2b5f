// A stack of layers run forward and back over a batch of clips, block of steps by block of steps.
//
// Kept between the two: spikes as bits, and the neurons' states where a block begins. Membranes are computed again on
// the way back, in the cache, so that memory grows with neurons/4 bytes a step and not with 12.
// Work is shared out in a fixed way: results depend on the number of threads only where gradients of different
// threads are added up.
#pragma once
#include <type_traits>
#include <vector>

#include "pool.h"
#include "position.h"
#include "product.h"

namespace snn {

// Single products are worth it where fewer than one in so many neurons is near its threshold.
constexpr int SPARSE_BELOW = 3;

struct Kept {
  Buffer<Word> spikes;       // [clip][block][position][STEPS][words]
  Buffer<float> u, v;        // [clip][block − 1][chunk][position][width], from the second block on
  Buffer<int32_t> needed;    // [clip][position]: from this step on a neuron's gradient can matter
};

struct Run {
  std::vector<Layer> layers;
  std::vector<Cells> cells;  // of each clip
  std::vector<Kept> kept;    // of each layer
  int clips, steps, blocks, threads;
  bool keeps;  // whether the way back will come
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
};

// What a thread needs for itself.
struct Scratch {
  Patches patches;
  Buffer<float> membrane, current, gradient, states;
  std::vector<Buffer<float>> counts;   // spikes of the clip by channel
  std::vector<Buffer<float>> weight;   // gradients, [group][row][GROUP]
  std::vector<Buffer<float>> learned;  // [3][out_stride]: alpha, beta, threshold
};

// The states of the clip at work, and on the way back what its blocks hand on.
struct Work {
  std::vector<Buffer<float>> u, v;     // like Kept
  std::vector<Buffer<float>> gradient; // [position][STEPS][out_stride] of this block's synaptic input
  std::vector<Buffer<float>> gu, after;
};

// A thread's share of a layer: rows of the image, or chunks of channels where there are fewer rows than threads.
struct Share {
  int row, rows, chunk, chunks;
};
inline Share share_of(const Layer &l, int thread, int threads) {
  if (l.is.out_h >= threads) return {thread, threads, 0, 1};
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
            int32_t &at = input[size_t(y) * a.is.in_w + cells.place[i] / a.is.in_c];
            at = std::min(at, int32_t(t));
          }
        }
      for (int p = 0; p < a.positions(); p++) {
        needed[p] = run.steps;
        sources(a.is, p / a.is.out_w, p % a.is.out_w,
                [&](int y, int x, int) { needed[p] = std::min(needed[p], input[size_t(y) * a.is.in_w + x]); });
      }
    } else {
      const Layer &below = run.layers[l - 1];
      const int32_t *lower = run.kept[l - 1].needed.get() + size_t(clip) * below.positions();
      for (int p = 0; p < a.positions(); p++) {
        needed[p] = run.steps;
        sources(a.is, p / a.is.out_w, p % a.is.out_w,
                [&](int y, int x, int) { needed[p] = std::min(needed[p], lower[y * a.is.in_w + x]); });
      }
    }
    // A threshold learns from silent neurons too.
    if (a.is.learn || a.restless)
      for (int p = 0; p < a.positions(); p++) needed[p] = 0;
  }
}

inline void list_row(const Run &run, int l, int clip, int block, int y, Patches &to) {
  const Layer &a = run.layers[l];
  const int steps = run.block_steps(block);
  if (l == 0)
    list_cells(a, run.cells[clip], y, block * STEPS, steps, run.steps, to);
  else
    list_spikes(a, run.spikes(l - 1, clip, block),
                run.kept[l].needed.get() + size_t(clip) * a.positions() + y * a.is.out_w, y, block * STEPS, steps, to);
}

template <int G, bool VALUED, bool CURRENT>
void forward_rows(Run &run, int l, int clip, int block, Share share, Work &work, Scratch &scratch) {
  const Layer &a = run.layers[l];
  const int wide = a.is.out_w, positions = a.positions(), steps = run.block_steps(block), begin = block * STEPS;
  const int32_t *needed = run.kept[l].needed.get() + size_t(clip) * positions;
  Word *spikes = run.spikes(l, clip, block);
  for (int y = share.row; y < a.is.out_h; y += share.rows) {
    list_row(run, l, clip, block, y, scratch.patches);
    for (int chunk = share.chunk; chunk < a.chunks; chunk += share.chunks) {
      const Neurons<G> neurons(a, chunk);
      Group counts[G];
      for (int g = 0; g < G; g++) counts[g] = splat(0.f);
      for (int x = 0; x < wide; x++) {
        const int p = y * wide + x, from = std::max(0, needed[p] - begin);
        if (from >= steps) continue;
        const bool fresh = block == 0 || needed[p] >= begin;
        Word *out = spikes + (size_t(p) * STEPS) * a.words() + chunk * G;
        const size_t at = (size_t(chunk) * positions + p) * a.width;
        forward_position<G, VALUED, CURRENT>(neurons, a.chunk_weight(chunk), scratch.patches.of(x),
                                             scratch.patches.row.get(), scratch.patches.value.get(), from, steps,
                                             fresh, CURRENT ? work.u[l].get() + at : nullptr, work.v[l].get() + at, out,
                                             a.words(), counts, a.is.spiking ? nullptr : scratch.membrane.get(),
                                             nullptr);
        if (!a.is.spiking)
          for (int t = from; t < steps; t++)
            for (int c = chunk * a.width; c < std::min((chunk + 1) * a.width, a.is.out_c); c++)
              run.readout[((size_t(begin + t) * run.clips + clip) * a.is.out_c + c) * positions + p] =
                  scratch.membrane[t * a.width + c - chunk * a.width];
      }
      if (a.is.spiking) {
        float *sum = scratch.counts[l].get() + chunk * a.width;
        for (int g = 0; g < G; g++) store(sum + g * GROUP, load(sum + g * GROUP) + counts[g]);
      }
    }
  }
}

// Gradients of the spikes of position (y, x): `taps` of the layer above that read it.
inline int taps_of(const Layer &above, const Buffer<float> &gradient, int chunk, int width, int y, int x, Tap *taps) {
  int n = 0;
  const snn_layer &is = above.is;
  readers(y, is.kernel[0], is.stride[0], is.padding[0], is.dilation[0], is.out_h, [&](int uy, int ky) {
    readers(x, is.kernel[1], is.stride[1], is.padding[1], is.dilation[1], is.out_w, [&](int ux, int kx) {
      const size_t tap = size_t(ky) * is.kernel[1] + kx;
      taps[n++] = {gradient.get() + size_t(uy * is.out_w + ux) * STEPS * above.out_stride,
                   above.down.get() + (chunk * above.taps + tap) * above.out_stride * width,
                   above.across.size()
                       ? above.across.get() + (tap * above.in_stride + size_t(chunk) * width) * above.out_stride
                       : nullptr};
    });
  });
  return n;
}

// Gradients that the caller gives: of the readout's membrane [step][clip][out_c] and of each spiking layer's rates.
struct Given {
  const float *readout, *rates;
  int truncate;
};

template <int G, bool VALUED, bool CURRENT, class Slope>
void backward_rows(const Run &run, int l, int clip, int block, Share share, const Given &given, Work &work,
                   Scratch &scratch) {
  constexpr int W = G * GROUP;
  const Layer &a = run.layers[l];
  const Layer *above = l + 1 < int(run.layers.size()) ? &run.layers[l + 1] : nullptr;
  const int wide = a.is.out_w, positions = a.positions(), steps = run.block_steps(block), begin = block * STEPS;
  const int32_t *needed = run.kept[l].needed.get() + size_t(clip) * positions;
  const Slope slope{splat(a.is.slope)};
  const bool compact = a.is.spiking && a.is.surrogate == TRIANGLE;
  const Group width_of_slope = splat(1.f / a.is.slope);
  std::vector<Tap> taps(above ? above->taps : 0);
  float *membrane = scratch.membrane.get(), *current = a.is.learn ? scratch.current.get() : nullptr;
  scratch.gradient.grow(size_t(wide) * STEPS * W);
  for (int y = share.row; y < a.is.out_h; y += share.rows) {
    list_row(run, l, clip, block, y, scratch.patches);
    const uint32_t *row = scratch.patches.row.get();
    const float *value = scratch.patches.value.get();
    for (int chunk = share.chunk; chunk < a.chunks; chunk += share.chunks) {
      const Neurons<G> neurons(a, chunk);
      Learned<G> learned;
      for (int i = 0; i < G; i++) learned.alpha[i] = learned.beta[i] = learned.threshold[i] = splat(0.f);
      Group rate[G];  // the same for every spike of a channel
      for (int i = 0; i < G; i++) {
        float r[GROUP] = {};
        for (int c = 0; c < GROUP; c++) {
          const int channel = chunk * W + i * GROUP + c;
          if (a.is.spiking && channel < a.is.out_c)
            r[c] = given.rates[run.rates_at(l) + size_t(clip) * a.is.out_c + channel] / (float(run.steps) * positions);
        }
        rate[i] = load(r);
      }
      for (int x = 0; x < wide; x++) {
        const int p = y * wide + x, from = std::max(0, needed[p] - begin);
        if (from >= steps) continue;
        const size_t at = (size_t(chunk) * positions + p) * W;
        float *g = scratch.gradient.get() + size_t(x) * STEPS * W;
        // Membranes again, from where the block begins.
        const bool fresh = block == 0 || needed[p] >= begin;
        float *u0 = scratch.states.get(), *v0 = u0 + W, *u = v0 + W, *v = u + W;
        for (int i = 0; i < G; i++) {
          const size_t j = at + i * GROUP;
          const Group us = fresh || !CURRENT ? splat(0.f) : load(run.state(run.kept[l].u, l, clip, block) + j);
          const Group vs = fresh ? splat(0.f) : load(run.state(run.kept[l].v, l, clip, block) + j);
          store(u0 + i * GROUP, us), store(u + i * GROUP, us), store(v0 + i * GROUP, vs), store(v + i * GROUP, vs);
        }
        const uint32_t *first = scratch.patches.of(x);
        forward_position<G, VALUED, CURRENT>(neurons, a.chunk_weight(chunk), first, row, value, from, steps, fresh, u,
                                             v, nullptr, 0, nullptr, membrane, current);
        if (!a.is.spiking) {
          for (int t = from; t < steps; t++)
            for (int c = 0; c < W; c++) {
              const int channel = chunk * W + c;
              g[t * W + c] = channel < a.is.out_c
                                 ? given.readout[((size_t(begin + t) * run.clips + clip) * a.is.out_c + channel) *
                                                     positions + p]
                                 : 0.f;
            }
        } else {
          const int n = above ? taps_of(*above, work.gradient[l + 1], chunk, W, y, x, taps.data()) : 0;
          Word wanted[STEPS * G];
          int near = 0;
          if (compact && n)
            for (int t = from; t < steps; t++)
              for (int i = 0; i < G; i++) {
                const Group d = absolute(load(membrane + t * W + i * GROUP) - neurons.threshold[i]);
                wanted[t * G + i] = greater(width_of_slope, d);
                near += __builtin_popcount(wanted[t * G + i]);
              }
          if (compact && n && near * SPARSE_BELOW < (steps - from) * W)
            products<G>(taps.data(), n, from, steps, wanted, above->out_stride, g);
          else if (n)
            product<G>(taps.data(), n, from, steps, above->is.out_c, above->out_stride, g);
          for (int t = from; t < steps; t++)
            for (int i = 0; i < G; i++) {
              float *o = g + t * W + i * GROUP;
              store(o, n ? load(o) + rate[i] : rate[i]);
            }
        }
        backward_position<G>(neurons, slope, a.is.spiking, a.is.detach_reset, from, steps, begin, given.truncate,
                             block == run.blocks - 1, membrane, CURRENT ? current : nullptr, u0, v0, g, work.gu[l].get() + at,
                             work.after[l].get() + at, a.is.learn ? &learned : nullptr);
        if (l > 0) {
          float *out = work.gradient[l].get() + size_t(p) * STEPS * a.out_stride + chunk * W;
          for (int t = from; t < steps; t++)
            for (int i = 0; i < G; i++)
              store(out + size_t(t) * a.out_stride + i * GROUP, load(g + t * W + i * GROUP));
        }
      }
      for (int i = 0; i < G; i++) {
        float *weight = scratch.weight[l].get() + (size_t(chunk) * G + i) * (a.rows + PADDING) * GROUP;
        for (int x = 0; x < wide; x++) {
          const int from = std::max(0, needed[y * wide + x] - begin);
          if (from < steps)
            scatter<VALUED>(scratch.gradient.get() + size_t(x) * STEPS * W + i * GROUP, W, scratch.patches.of(x), row,
                            value, from, steps, weight);
        }
      }
      if (a.is.learn)
        for (int i = 0; i < G; i++) {
          float *to = scratch.learned[l].get() + chunk * W + i * GROUP;
          store(to, load(to) + learned.alpha[i]);
          store(to + a.out_stride, load(to + a.out_stride) + learned.beta[i]);
          store(to + 2 * a.out_stride, load(to + 2 * a.out_stride) + learned.threshold[i]);
        }
    }
  }
}

// f(G, VALUED, CURRENT) as types of a layer, chosen once.
template <class F>
inline void by_kind(const Layer &l, F f) {
  auto third = [&](auto groups, auto valued) {
    l.current ? f(groups, valued, std::true_type{}) : f(groups, valued, std::false_type{});
  };
  auto second = [&](auto groups) {
    l.words_in == 0 ? third(groups, std::true_type{}) : third(groups, std::false_type{});
  };
  if constexpr (LANES == GROUP)
    if (l.width == 2 * GROUP) return second(std::integral_constant<int, 2>{});
  second(std::integral_constant<int, 1>{});
}

inline void forward_layer(Run &run, int l, int clip, int block, Share share, Work &work, Scratch &scratch) {
  by_kind(run.layers[l], [&](auto g, auto valued, auto current) {
    forward_rows<g.value, valued.value, current.value>(run, l, clip, block, share, work, scratch);
  });
}

inline void backward_layer(const Run &run, int l, int clip, int block, Share share, const Given &given, Work &work,
                           Scratch &scratch) {
  by_kind(run.layers[l], [&](auto g, auto valued, auto current) {
    auto with = [&](auto slope) {
      backward_rows<g.value, valued.value, current.value, decltype(slope)>(run, l, clip, block, share, given, work,
                                                                           scratch);
    };
    switch (run.layers[l].is.surrogate) {
      case FAST_SIGMOID: return with(FastSigmoid{splat(1.f)});
      case ATAN: return with(Atan{splat(1.f)});
      default: return with(Triangle{splat(1.f)});
    }
  });
}

inline Scratch make_scratch(const Run &run, bool gradients) {
  Scratch s;
  const size_t widest = 2 * GROUP;
  s.membrane = Buffer<float>(STEPS * widest), s.current = Buffer<float>(STEPS * widest);
  s.gradient = Buffer<float>(STEPS * widest), s.states = Buffer<float>(4 * widest);
  for (const Layer &l : run.layers) {
    if (!gradients) s.counts.emplace_back(size_t(l.out_stride));
    if (gradients) s.weight.emplace_back(l.chunks * l.chunk_weights());
    if (gradients) s.learned.emplace_back(size_t(3) * l.out_stride);
  }
  return s;
}

inline Work make_work(const Run &run, bool gradients) {
  Work w;
  for (size_t l = 0; l < run.layers.size(); l++) {
    const Layer &a = run.layers[l];
    const size_t n = run.state_size(int(l));
    if (!gradients) {
      w.u.emplace_back(a.current ? n : 0), w.v.emplace_back(n);
    } else {
      w.gu.emplace_back(n), w.after.emplace_back(n);
      w.gradient.emplace_back(l ? size_t(a.positions()) * STEPS * a.out_stride : 0);
    }
  }
  return w;
}

// Whether each thread takes whole clips (no waiting) or all of them share one clip's rows.
inline bool clip_by_clip(int clips, int threads) { return clips % threads == 0 || clips >= 4 * threads; }

// Keeps the states where a block begins, for the way back.
inline void begin_block(Run &run, int clip, int block, Work &work) {
  if (block == 0 || !run.keeps) return;
  for (size_t l = 0; l < run.layers.size(); l++) {
    const size_t bytes = run.state_size(int(l)) * sizeof(float);
    if (run.layers[l].current) std::memcpy(run.state(run.kept[l].u, int(l), clip, block), work.u[l].get(), bytes);
    std::memcpy(run.state(run.kept[l].v, int(l), clip, block), work.v[l].get(), bytes);
  }
}

inline void add_counts(Run &run, int clip, std::vector<Scratch> &scratch) {
  for (size_t l = 0; l < run.layers.size(); l++) {
    const Layer &a = run.layers[l];
    float *rates = run.rates.data() + run.rates_at(int(l)) + size_t(clip) * a.is.out_c;
    for (int c = 0; c < a.is.out_c; c++) {
      float count = 0;  // exact, whichever threads have counted
      for (const Scratch &s : scratch) count += s.counts[l][c];
      rates[c] = count / (float(run.steps) * a.positions());
    }
  }
}

inline void forward(Run &run) {
  const int n = run.threads, layers = int(run.layers.size());
  if (clip_by_clip(run.clips, n)) {
    parallel(n, [&](int thread, int threads) {
      NoDenormals quick;
      std::vector<Scratch> scratch;
      scratch.push_back(make_scratch(run, false));
      Work work = make_work(run, false);
      for (int clip = thread; clip < run.clips; clip += threads) {
        find_needed(run, clip);
        for (auto &c : scratch[0].counts) c.clear();
        for (int block = 0; block < run.blocks; block++) {
          begin_block(run, clip, block, work);
          for (int l = 0; l < layers; l++) forward_layer(run, l, clip, block, {0, 1, 0, 1}, work, scratch[0]);
        }
        add_counts(run, clip, scratch);
      }
    });
    return;
  }
  std::vector<Scratch> scratch;
  for (int i = 0; i < n; i++) scratch.push_back(make_scratch(run, false));
  Work work = make_work(run, false);
  for (int clip = 0; clip < run.clips; clip++) {
    find_needed(run, clip);
    for (Scratch &s : scratch)
      for (auto &c : s.counts) c.clear();
    for (int block = 0; block < run.blocks; block++) {
      begin_block(run, clip, block, work);
      for (int l = 0; l < layers; l++)
        parallel(n, [&](int thread, int threads) {
          NoDenormals quick;
          forward_layer(run, l, clip, block, share_of(run.layers[l], thread, threads), work, scratch[thread]);
        });
    }
    add_counts(run, clip, scratch);
  }
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
      Work work = make_work(run, true);
      for (int clip = thread; clip < run.clips; clip += threads) {
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
            backward_layer(run, l, clip, block, share_of(run.layers[l], thread, threads), given, work,
                           scratch[thread]);
          });
    }
  }
  for (int l = 0; l < layers; l++) {
    const Layer &a = run.layers[l];
    parallel(n, [&](int thread, int threads) {
      each_weight(a, thread, threads, [&](int o, int count, int row, size_t i, size_t stride) {
        const size_t at = (size_t(o / GROUP) * (a.rows + PADDING) + row) * GROUP + o % GROUP;
        float sum[GROUP] = {};
        for (const Scratch &s : scratch)
          for (int j = 0; j < count; j++) sum[j] += s.weight[l][at + j];
        for (int j = 0; j < count; j++) out[l].weight[i + j * stride] = sum[j];
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
