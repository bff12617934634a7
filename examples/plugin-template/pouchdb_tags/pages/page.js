// How many documents of a database have a tag. The server's own modules are two folders up; they make no markup of texts.

import * as api from "../../api.js";
import { asking } from "../../asking.js";
import { databaseHead, el, link, replace } from "../../dom.js";

export default async function page(place, db) {
  const tag = el("input", { name: "tag", required: true });
  const { form, place: answer } = asking({ class: "card ask" }, [el("label", {}, "Tag", tag), el("button", { class: "primary" }, "Find")],
    async () => {
      const { ids } = await api.get(api.path(db, "_tagged", tag.value));
      return el("ul", {}, ids.map((id) => el("li", {}, el("a", { href: link("db", db, "doc", id) }, id))));
    });
  replace(place, databaseHead(db, "tags"), form, answer);
}
