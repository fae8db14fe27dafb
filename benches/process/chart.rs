//! A chart of how costs grow, as SVG: both axes by powers of ten, each line from 1 at its left end.

use std::fmt::Write as _;

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 360.0;
/// The free edge around the lines; the names of the lines stand at the right.
const LEFT: f64 = 60.0;
const RIGHT: f64 = 250.0;
const EDGE: f64 = 40.0;
const COLORS: [&str; 6] = ["#0b6e4f", "#c8553d", "#3a5a98", "#8a6d00", "#7b2d8b", "#555555"];

/// A line: its name with the unit, and its values at each amount of work.
pub(crate) struct Series {
    pub(crate) name: String,
    pub(crate) values: Vec<f64>,
}

/// Draws the lines over the amounts of work.
pub(crate) fn draw(title: &str, work: &[f64], series: &[Series]) -> String {
    let ratio = |line: &Series, at: usize| line.values[at] / line.values[0];
    let all = series.iter().flat_map(|line| (0..work.len()).map(|at| ratio(line, at)));
    let (low, high) = all.fold((1.0_f64, 1.0_f64), |(low, high), value| {
        (low.min(value), high.max(value))
    });
    let (low, high) = (low.log10().floor(), high.log10().ceil().max(1.0));
    let (first, last) = (work[0].log10(), work[work.len() - 1].log10());
    let x = |value: f64| LEFT + (value.log10() - first) / (last - first) * (WIDTH - LEFT - RIGHT);
    let y = |value: f64| HEIGHT - EDGE - (value.log10() - low) / (high - low) * (HEIGHT - 2.0 * EDGE);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"#fff\"/>\n<text x=\"{LEFT}\" y=\"20\" font-size=\"14\">{title}</text>\n"
    );
    let mut put = |text: String| writeln!(svg, "{text}").expect("a text");
    let mut power = low;
    while power <= high {
        let (at, right) = (y(10_f64.powf(power)), WIDTH - RIGHT);
        put(format!("<path d=\"M{LEFT} {at:.0}H{right}\" stroke=\"#ddd\"/>"));
        put(format!(
            "<text x=\"{}\" y=\"{:.0}\" text-anchor=\"end\">{} x</text>",
            LEFT - 6.0,
            at + 4.0,
            10_f64.powf(power)
        ));
        power += 1.0;
    }
    for amount in work {
        let (at, below) = (x(*amount), HEIGHT - EDGE + 18.0);
        put(format!(
            "<text x=\"{at:.0}\" y=\"{below}\" text-anchor=\"middle\">{amount}</text>"
        ));
    }
    for (number, line) in series.iter().enumerate() {
        let color = COLORS[number % COLORS.len()];
        let points = work
            .iter()
            .enumerate()
            .map(|(at, amount)| format!("{:.1},{:.1}", x(*amount), y(ratio(line, at))));
        let points: Vec<String> = points.collect();
        put(format!(
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{color}\" stroke-width=\"2\"/>",
            points.join(" ")
        ));
        let height = EDGE + 20.0 * f64::from(u32::try_from(number).unwrap_or(0));
        let values: Vec<String> = line.values.iter().map(|value| format!("{value:.1}")).collect();
        let (beside, values) = (WIDTH - RIGHT + 14.0, values.join(", "));
        put(format!(
            "<text x=\"{beside}\" y=\"{height}\" fill=\"{color}\">{}: {values}</text>",
            line.name
        ));
    }
    svg + "</svg>\n"
}
