import * as core from "echarts/core";
import { ScatterChart } from "echarts/charts";
import { GridComponent, TooltipComponent, LegendPlainComponent, DataZoomInsideComponent } from "echarts/components";
import { CanvasRenderer, SVGRenderer } from "echarts/renderers";
core.use([ScatterChart, GridComponent, TooltipComponent, LegendPlainComponent, DataZoomInsideComponent, CanvasRenderer, SVGRenderer]);
export const init = core.init;
