// The revision tree of a document, drawn: time goes to the right, the winner's line is the topmost.

import { el, svg } from "./dom.js";

const STEP = 92, LANE = 58, LEFT = 30, TOP = 34;
const RUN = 5; // a line of more revisions than this is shortened

// Build the tree of what open_revs answers: the winner comes first.
export function treeOf(leaves) {
  const nodes = new Map();
  leaves.forEach((doc, index) => {
    const { start, ids } = doc._revisions;
    let child = null;
    ids.forEach((id, back) => {
      const rev = `${start - back}-${id}`;
      let node = nodes.get(rev);
      const known = node !== undefined;
      if (!known) {
        node = { rev, generation: start - back, children: [], parent: null, leaf: back === 0 };
        nodes.set(rev, node);
      }
      if (back === 0) Object.assign(node, { leaf: true, deleted: !!doc._deleted, winner: index === 0, doc });
      if (child && !child.parent) { child.parent = node; node.children.push(child); }
      child = node;
    });
  });
  return { nodes, roots: [...nodes.values()].filter((node) => !node.parent) };
}

// Give every node its place; return what is drawn: nodes, and gaps that stand for many.
function laidOut({ roots }) {
  const shown = [];
  let lanes = 0;
  function place(node, column, lane, from) {
    const line = [node];
    while (line.at(-1).children.length === 1) line.push(line.at(-1).children[0]);
    const gap = line.length > RUN ? line.length - 3 : 0;
    const kept = gap ? [line[0], { gap, rev: line[1].rev, generation: line[1].generation }, line.at(-2), line.at(-1)] : line;
    let before = from;
    for (const each of kept) {
      const spot = { node: each, column, lane, from: before };
      shown.push(spot);
      before = spot;
      column += 1;
    }
    line.at(-1).children.forEach((child, index) => {
      if (index > 0) lanes += 1;
      place(child, column, index === 0 ? lane : lanes, before);
    });
  }
  roots.forEach((root, index) => {
    if (index > 0) lanes += 1;
    place(root, 0, lanes, null);
  });
  return { shown, lanes: lanes + 1 };
}

export function drawTree(tree, selected, choose) {
  const { shown, lanes } = laidOut(tree);
  const columns = Math.max(...shown.map((each) => each.column)) + 1;
  const x = (spot) => LEFT + spot.column * STEP + 16, y = (spot) => TOP + spot.lane * LANE;
  const width = LEFT + columns * STEP + 10, height = TOP + lanes * LANE - 10;
  const edges = shown.filter((spot) => spot.from).map((spot) => {
    const [x1, y1, x2, y2] = [x(spot.from), y(spot.from), x(spot), y(spot)];
    const middle = (x1 + x2) / 2;
    return svg("path", { class: "edge", d: `M${x1} ${y1}C${middle} ${y1} ${middle} ${y2} ${x2} ${y2}` });
  });
  const marks = shown.map((spot) => mark(spot, x(spot), y(spot), selected, choose));
  return el("div", { class: "tree", role: "group", "aria-label": "Revision tree" },
    svg("svg", { viewBox: `0 0 ${width} ${height}`, width, height }, edges, marks));
}

function mark(spot, x, y, selected, choose) {
  const { node } = spot;
  if (node.gap) {
    return svg("g", { class: "gap" }, svg("circle", { cx: x, cy: y, r: 14 }),
      svg("text", { x, y: y + 4 }, document.createTextNode(`+${node.gap}`)),
      svg("title", {}, document.createTextNode(`${node.gap} more revisions`)));
  }
  const kind = node.deleted ? "deleted" : node.winner ? "winner" : node.leaf ? "conflict" : "old";
  const [generation, hash] = [node.rev.split("-", 1)[0], node.rev.slice(node.rev.indexOf("-") + 1)];
  const label = `${node.rev}, ${{ deleted: "deleted", winner: "the winner", conflict: "in conflict", old: "older" }[kind]}`;
  const act = () => choose(node.rev);
  return svg("g", {
    class: `node ${kind}${node.rev === selected ? " selected" : ""}`, role: "button", tabindex: "0", "aria-label": label,
    "aria-pressed": node.rev === selected ? "true" : "false", "data-rev": node.rev,
    onclick: act, onkeydown: (event) => { if (event.key === "Enter" || event.key === " ") { event.preventDefault(); act(); } },
  },
  svg("title", {}, document.createTextNode(label)),
  svg("circle", { cx: x, cy: y, r: 13 }),
  svg("text", { x, y: y + 4 }, document.createTextNode(generation)),
  svg("text", { class: "hash", x, y: y + 28 }, document.createTextNode(hash.slice(0, 7))));
}
