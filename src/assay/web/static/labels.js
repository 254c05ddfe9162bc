import { banner, get, one } from "./dom.js";

const place = one("labels");
try {
  const { html } = await get(`/api/studies/${document.body.dataset.study}/labels`);
  place.innerHTML = html;
  window.relabel(place);
} catch (error) {
  banner(error.message);
  place.replaceChildren();
}
place.setAttribute("aria-busy", "false");
