/**
 * The before/after slider: two images on one stage, parted by a line.
 *
 * One finger or the mouse moves the line (a zoomed image, when it begins away from the line); two
 * fingers, Ctrl and the wheel, a double click or the buttons zoom; the line is a slider to the
 * keyboard and to screen readers.
 */

import { atMost, clamped, WHOLE, zoomed, type Point, type View } from "./view";

const REACH = 28; // CSS pixels around the line that grasp it
const STEP = 0.02;
const PAGE = 0.1;

export class Comparer {
  private split = 0.5;
  private view: View = WHOLE;
  private readonly fingers = new Map<number, Point>();
  private drags: "line" | "picture" = "line";
  private moved = false;
  /** Pixels of the upscaled image in its width. */
  private pixels = 0;

  constructor(
    private readonly stage: HTMLElement,
    private readonly handle: HTMLElement,
  ) {
    stage.addEventListener("pointerdown", (event) => this.press(event));
    stage.addEventListener("pointermove", (event) => this.move(event));
    for (const end of ["pointerup", "pointercancel"] as const) {
      stage.addEventListener(end, (event) => this.release(event));
    }
    stage.addEventListener("dblclick", (event) => {
      const { zoom } = this.view;
      if (!isControl(event)) this.zoom(zoom > 1 ? 1 / zoom : this.mostZoom / 4, this.at(event));
    });
    stage.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    handle.addEventListener("keydown", (event) => this.key(event));
    new ResizeObserver(() => this.show(WHOLE)).observe(stage);
    this.moveLine(this.split);
  }

  /** A new image, which will be `pixels` wide: all of it, the line in the middle. */
  reset(pixels: number): void {
    this.pixels = pixels;
    this.show(WHOLE);
    this.moveLine(0.5);
  }

  /** Zooms by `factor` around a point of the stage, or its middle. */
  zoom(factor: number, around?: Point): void {
    const { clientWidth: width, clientHeight: height } = this.stage;
    const point = around ?? { x: width / 2, y: height / 2 };
    this.show(zoomed(this.view, factor, point, this.mostZoom));
  }

  /** Where a pixel of the upscaled image is 4 CSS pixels wide. */
  private get mostZoom(): number {
    return Math.max(8, (4 * this.pixels) / this.stage.clientWidth);
  }

  private press(event: PointerEvent): void {
    if (isControl(event)) return;
    this.stage.setPointerCapture(event.pointerId);
    const point = this.at(event);
    this.fingers.set(event.pointerId, point);
    const onLine = Math.abs(point.x - this.split * this.stage.clientWidth) <= REACH;
    const alone = this.fingers.size === 1;
    this.drags = alone && (onLine || this.view.zoom === 1) ? "line" : "picture";
    this.moved = !alone;
  }

  private move(event: PointerEvent): void {
    const before = this.fingers.get(event.pointerId);
    if (!before) return;
    const point = this.at(event);
    const others = [...this.fingers].filter(([id]) => id !== event.pointerId);
    this.fingers.set(event.pointerId, point);
    this.moved = true;
    const other = others[0]?.[1];
    if (other) this.pinch(before, point, other);
    else if (this.drags === "line") this.moveLine(point.x / this.stage.clientWidth);
    else this.pan(point.x - before.x, point.y - before.y);
  }

  private release(event: PointerEvent): void {
    const point = this.fingers.get(event.pointerId);
    this.fingers.delete(event.pointerId);
    const tapped = point && !this.moved && event.type === "pointerup" && this.drags === "line";
    if (tapped) this.moveLine(point.x / this.stage.clientWidth);
  }

  private pinch(before: Point, after: Point, other: Point): void {
    const distance = (point: Point) => Math.hypot(point.x - other.x, point.y - other.y) || 1;
    const middle = { x: (after.x + other.x) / 2, y: (after.y + other.y) / 2 };
    this.pan((after.x - before.x) / 2, (after.y - before.y) / 2);
    this.zoom(distance(after) / distance(before), middle);
  }

  private wheel(event: WheelEvent): void {
    if (!event.ctrlKey) return; // the page scrolls; touchpads pinch with it set
    event.preventDefault();
    this.zoom(Math.exp(-event.deltaY / 200), this.at(event));
  }

  private key(event: KeyboardEvent): void {
    const [right, down] = ARROWS[event.key] ?? [0, 0];
    if (event.shiftKey && (right || down)) this.pan(-40 * right, -40 * down);
    else if (right || down) this.moveLine(this.split + STEP * (right - down));
    else if (event.key === "PageUp") this.moveLine(this.split + PAGE);
    else if (event.key === "PageDown") this.moveLine(this.split - PAGE);
    else if (event.key === "Home") this.moveLine(0);
    else if (event.key === "End") this.moveLine(1);
    else if (event.key === "+" || event.key === "=") this.zoom(1.5);
    else if (event.key === "-") this.zoom(1 / 1.5);
    else return;
    event.preventDefault();
  }

  private moveLine(split: number): void {
    this.split = atMost(split, 0, 1);
    const percent = Math.round(100 * this.split);
    this.stage.style.setProperty("--split", `${100 * this.split}%`);
    this.handle.setAttribute("aria-valuenow", String(percent));
    this.handle.setAttribute("aria-valuetext", `${percent} % before, ${100 - percent} % after`);
  }

  private pan(x: number, y: number): void {
    this.show({ ...this.view, x: this.view.x + x, y: this.view.y + y });
  }

  private show(view: View): void {
    this.view = clamped(view, this.stage.clientWidth, this.stage.clientHeight);
    const { x, y, zoom } = this.view;
    this.stage.style.setProperty("--view", `translate(${x}px, ${y}px) scale(${zoom})`);
    this.stage.classList.toggle("zoomed", zoom > 1);
  }

  private at(event: MouseEvent): Point {
    const { left, top } = this.stage.getBoundingClientRect();
    return { x: event.clientX - left, y: event.clientY - top };
  }
}

/** Right and down. */
const ARROWS: Record<string, [number, number]> = {
  ArrowRight: [1, 0],
  ArrowLeft: [-1, 0],
  ArrowDown: [0, 1],
  ArrowUp: [0, -1],
};

function isControl(event: Event): boolean {
  return event.target instanceof Element && event.target.closest("button") !== null;
}
