/** What of an image a stage shows: its arithmetic. */

/** In CSS pixels of the stage. */
export interface Point {
  x: number;
  y: number;
}

/** A point p of the image as it fills the stage is shown at zoom·p + (x, y). */
export interface View {
  zoom: number;
  x: number;
  y: number;
}

export const WHOLE: View = { zoom: 1, x: 0, y: 0 };

/** `view` zoomed by `factor`, to `most` at the most, with what is at `around` staying there. */
export function zoomed(view: View, factor: number, around: Point, most: number): View {
  const zoom = atMost(view.zoom * factor, 1, most);
  const change = zoom / view.zoom;
  return {
    zoom,
    x: around.x - change * (around.x - view.x),
    y: around.y - change * (around.y - view.y),
  };
}

/** `view` moved so that the image covers a stage of this size. */
export function clamped(view: View, width: number, height: number): View {
  return {
    zoom: view.zoom,
    x: atMost(view.x, width * (1 - view.zoom), 0),
    y: atMost(view.y, height * (1 - view.zoom), 0),
  };
}

export function atMost(value: number, least: number, most: number): number {
  return Math.min(Math.max(value, least), most);
}
