// Access to the data of the explorer, behind one interface: `tasks()` and `maps(task, index, seed)`, both asynchronous.
// `FileData` reads what is inside the page. A server needs a class with the same two functions.

async function unpack(text) {
  const bytes = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Response(stream).arrayBuffer();
}

function littleEndian(buffer, scale) {
  const view = new DataView(buffer);
  return Float32Array.from({ length: buffer.byteLength / 2 }, (_, i) => view.getUint16(2 * i, true) / scale);
}

export class FileData {
  /** Reads packed JSON, as `attn_research.web.explorer` writes it. */
  constructor(packed) {
    this.content = unpack(packed).then((buffer) => JSON.parse(new TextDecoder().decode(buffer)));
    this.weights = new Map(); // the promise of the weights of a run
  }

  /** Returns name, items, labels and seeds of every task. */
  async tasks() {
    const { tasks } = await this.content;
    return tasks.map(({ name, items, runs }) => ({
      name,
      items,
      labels: [...new Set(runs.map((run) => run.label))],
      seeds: [...new Set(runs.map((run) => run.seed))].sort((a, b) => a - b),
    }));
  }

  /** Returns an item of every row with a run of this seed: label, output, and weights as rows of numbers or null. */
  async maps(task, index, seed) {
    const { tasks, scale } = await this.content;
    const { items, runs } = tasks[task];
    return Promise.all(
      runs.filter((run) => run.seed === seed).map(async (run) => ({
        label: run.label,
        output: run.outputs[index],
        weights: run.attends ? await this.#weights(run, items, index, scale) : null,
      })),
    );
  }

  async #weights(run, items, index, scale) {
    if (!this.weights.has(run)) {
      this.weights.set(run, unpack(run.weights).then((buffer) => littleEndian(buffer, scale)));
    }
    const all = await this.weights.get(run);
    const before = items.slice(0, index).reduce((sum, item, i) => sum + item.source.length * run.steps[i], 0);
    const size = items[index].source.length;
    return Array.from({ length: run.steps[index] }, (_, t) => [...all.subarray(before + t * size, before + (t + 1) * size)]);
  }
}
