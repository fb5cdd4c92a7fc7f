// Access to the data of the explorer, behind one interface: `tasks()` and `maps(task, index, seed)`, both asynchronous.
// `FileData` reads what is inside the page. A server needs a class with the same two functions.

async function unpack(text) {
  const bytes = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Response(stream).arrayBuffer();
}

function numbers(buffer, unit, isSigned = false) {
  const view = new DataView(buffer);
  const read = isSigned ? (i) => view.getInt16(i, true) : (i) => view.getUint16(i, true);
  return Float32Array.from({ length: buffer.byteLength / 2 }, (_, i) => read(2 * i) * unit);
}

/** Returns rows of `size` numbers, from position `start` on. */
function matrix(all, start, rows, size) {
  return Array.from({ length: rows }, (_, t) => [...all.subarray(start + t * size, start + (t + 1) * size)]);
}

export class FileData {
  /** Reads packed JSON, as `attn_research.web.explorer` writes it. */
  constructor(packed) {
    this.content = unpack(packed).then((buffer) => JSON.parse(new TextDecoder().decode(buffer)));
    this.arrays = new Map(); // the promise of the numbers of a packed text
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

  /** Returns an item of every row with a run of this seed: label, output, and weights as rows of numbers or null.
   *
   * If the page has traces of a run: `heads` has the weights of every head, and `traces` for every head a query, scores
   * and likely symbols of every step.
   */
  async maps(task, index, seed) {
    const { tasks, scale } = await this.content;
    const { items, runs } = tasks[task];
    return Promise.all(
      runs.filter((run) => run.seed === seed).map(async (run) => ({
        label: run.label,
        output: run.outputs[index],
        weights: run.attends ? await this.#weights(run, items, index, scale) : null,
        ...(run.traces ? await this.#traces(run, items, index) : {}),
      })),
    );
  }

  async #weights(run, items, index, scale) {
    const all = await this.#unpack(run.weights, 1 / scale);
    return matrix(all, before(run, items, index), run.steps[index], items[index].source.length);
  }

  async #traces(run, items, index) {
    const { heads: number, queries, query_size: querySize, scores, weights, units, likely } = run.traces;
    const steps = run.steps[index], size = items[index].source.length;
    const firstStep = run.steps.slice(0, index).reduce((sum, one) => sum + one, 0);
    const start = (head) => number * before(run, items, index) + head * steps * size;
    const query = matrix(await this.#unpack(queries, units.query, true), firstStep * querySize, steps, querySize);
    const allScores = await this.#unpack(scores, units.score, true);
    const allWeights = weights ? await this.#unpack(weights, units.weight, true) : null;
    const heads = Array.from({ length: number }, (_, head) => head);
    return {
      heads: allWeights && heads.map((head) => matrix(allWeights, start(head), steps, size)),
      traces: heads.map((head) => matrix(allScores, start(head), steps, size).map((row, t) => ({
        query: query[t], scores: row, symbols: likely[index][t] }))),
    };
  }

  async #unpack(text, unit, isSigned) {
    if (!this.arrays.has(text)) this.arrays.set(text, unpack(text).then((buffer) => numbers(buffer, unit, isSigned)));
    return this.arrays.get(text);
  }
}

/** Returns the number of weights of a run before those of an item. */
function before(run, items, index) {
  return items.slice(0, index).reduce((sum, item, i) => sum + item.source.length * run.steps[i], 0);
}
