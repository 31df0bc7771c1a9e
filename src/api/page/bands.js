// Forecasts on the candles: what was expected of each candle one step before, and a fan of what is expected next.
//
// Past intervals lie behind the candles they spoke of; the fan opens from the last close, one corner a horizon. The
// axis knows no candles that are still to come: the fan is placed by counting bars.

export class Bands {
  constructor() {
    this.past = [];
    this.fan = null;
  }
  attached({ chart, series, requestUpdate }) {
    this.chart = chart;
    this.series = series;
    this.requestUpdate = requestUpdate;
  }
  // `past`: [bar, lower, upper], ascending; `fan`: {from, close, corners: [[bars, lower, middle, upper]]} or null.
  set(past, fan, colours) {
    this.past = past;
    this.fan = fan;
    this.colours = colours;
    this.requestUpdate?.();
  }
  paneViews() {
    return [{ zOrder: () => "bottom", renderer: () => ({ draw: (target) => this.draw(target) }) }];
  }
  autoscaleInfo(from, to) {
    if (!this.fan || to < this.fan.from) return null;
    const seen = this.fan.corners.filter(([bars]) => this.fan.from + bars <= to + 1);
    if (!seen.length) return null;
    return { priceRange: { minValue: Math.min(...seen.map((corner) => corner[1])), maxValue: Math.max(...seen.map((corner) => corner[3])) } };
  }
  draw(target) {
    const scale = this.chart.timeScale();
    target.useBitmapCoordinateSpace(({ context, horizontalPixelRatio: wide, verticalPixelRatio: high }) => {
      const x = (bar) => scale.logicalToCoordinate(bar) * wide;
      const y = (price) => this.series.priceToCoordinate(price) * high;
      const half = (scale.options().barSpacing / 2) * wide;
      context.fillStyle = this.colours?.past;
      for (const [bar, lower, upper] of this.past) {
        const [top, bottom] = [y(upper), y(lower)];
        context.fillRect(x(bar) - half, top, 2 * half, Math.max(bottom - top, 1));
      }
      if (!this.fan) return;
      const { from, close, corners } = this.fan;
      context.beginPath();
      context.moveTo(x(from), y(close));
      for (const [bars, , , upper] of corners) context.lineTo(x(from + bars), y(upper));
      for (const [bars, lower] of [...corners].reverse()) context.lineTo(x(from + bars), y(lower));
      context.closePath();
      context.fillStyle = this.colours.fan;
      context.fill();
      context.beginPath();
      context.moveTo(x(from), y(close));
      for (const [bars, , middle] of corners) context.lineTo(x(from + bars), y(middle));
      context.strokeStyle = this.colours.line;
      context.lineWidth = Math.max(1, wide);
      context.setLineDash([4 * wide, 4 * wide]);
      context.stroke();
      context.setLineDash([]);
    });
  }
}
