// A batch forward, block of steps by block of steps.
#pragma once
#include "run.h"

namespace snn {

// Keeps what a row has left in `scratch`, where there is room.
inline void keep_row(Run &run, int l, int clip, int block, int y, bool near, const Scratch &scratch) {
  Kept &kept = run.kept[l];
  const size_t row = run.row(l, clip, block, y);
  if (run.take(scratch.patches[0].bytes())) kept.lists[row] = scratch.patches[0].copy(*scratch.arena);
  if (near && run.take(scratch.near.bytes())) kept.near[row] = scratch.near.copy(*scratch.arena);
}

template <int G, bool VALUED, bool CURRENT>
void forward_rows(Run &run, int l, int clip, int block, Share share, Work &work, Scratch &scratch) {
  const Layer &a = run.layers[l];
  const int wide = a.is.out_w, positions = a.positions(), steps = run.block_steps(block), begin = block * STEPS;
  const int32_t *needed = run.needed(l, clip);
  const Patches &patches = scratch.patches[0];
  Near &near = scratch.near;
  Word *spikes = run.spikes(l, clip, block);
  const bool keeps = run.keeps && share.whole_rows(), notes_near = keeps && compact(a.is) && run.left > 0;
  for (int y = share.band; y < a.is.out_h; y += share.bands) {
    const int32_t *before = run.before(l, clip, y);
    const int in_row = before[wide] - before[0];  // positions that are ever needed
    list_row(run, l, clip, block, y, scratch.sources, scratch.patches[0]);
    if (notes_near) near.grow(a.chunks, in_row, G);
    near.used = 0;
    for (int chunk = share.chunk; chunk < a.chunks; chunk += share.chunks) {
      const Neurons<G> neurons(a, chunk);
      Group counts[G];
      for (int g = 0; g < G; g++) counts[g] = splat(0.f);
      for (int x = 0; x < wide; x++) {
        const int p = y * wide + x, from = std::max(0, needed[p] - begin);
        if (needed[p] == run.steps) continue;
        const int n = before[x] - before[0];
        const size_t i = size_t(chunk) * in_row + n;
        if (notes_near) near.first[i] = uint32_t(near.used), near.distance.grow(near.used + STEPS * G * GROUP);
        if (from >= steps) continue;
        const bool fresh = block == 0 || needed[p] >= begin;
        Word *out = spikes + size_t(p) * STEPS * a.words() + chunk * G;
        const size_t at = (size_t(chunk) * positions + p) * a.width;
        Notes notes;
        notes.spikes = out, notes.stride = a.words(), notes.counts = counts;
        if (!a.is.spiking) notes.membrane = scratch.membrane.get();
        if (notes_near) {
          notes.near = near.bits.get() + i * STEPS * G;
          notes.distance = near.distance.get() + near.used;
        }
        near.used += forward_position<G, VALUED, CURRENT>(
            neurons, a.chunk_weight(chunk), patches.of(n), rows_of<VALUED>(patches).get(), patches.value.get(), from,
            steps, fresh, CURRENT ? work.u[l].get() + at : nullptr, work.v[l].get() + at, notes);
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
    if (notes_near) near.first[near.places] = uint32_t(near.used);
    if (keeps) keep_row(run, l, clip, block, y, notes_near, scratch);
  }
}

inline void forward_layer(Run &run, int l, int clip, int block, Share share, Work &work, Scratch &scratch) {
  by_kind(run.layers[l], [&](auto g, auto valued, auto current) {
    forward_rows<g.value, valued.value, current.value>(run, l, clip, block, share, work, scratch);
  });
}

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
      scratch[0].arena = &run.arenas[thread];
      Work work = make_work(run, false);
      for (int clip : run.shares[thread]) {
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
  for (int i = 0; i < n; i++) scratch.push_back(make_scratch(run, false)), scratch[i].arena = &run.arenas[i];
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
          forward_layer(run, l, clip, block, share_of(run.layers[l].is.out_h, thread, threads), work, scratch[thread]);
        });
    }
    add_counts(run, clip, scratch);
  }
}

}  // namespace snn
