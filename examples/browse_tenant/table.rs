//! Columns under each other. It does not know what stands in them.

use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

/// Columns of the terminal for a cell; what is wider is cut.
const WIDEST: usize = 40;

/// Puts rows into columns, the last one as long as it is.
pub(crate) fn aligned<const N: usize>(header: [&str; N], rows: &[[String; N]]) -> Vec<String> {
    let cut = |cell: &str| -> String {
        if cell.width() <= WIDEST {
            return cell.to_owned();
        }
        let mut left = WIDEST - 1;
        let fits = cell.chars().take_while(|c| {
            let width = c.width().unwrap_or(1);
            let fits = width <= left;
            left = left.saturating_sub(width);
            fits
        });
        fits.chain(['…']).collect()
    };
    let mut table = vec![header.map(str::to_owned)];
    for row in rows {
        let mut row = row.clone();
        row.iter_mut().take(N - 1).for_each(|cell| *cell = cut(cell));
        table.push(row);
    }
    let mut widths = [0; N];
    for row in &table {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.width());
        }
    }
    let line = |row: &[String; N]| {
        // A character of a name may be two columns wide, or none.
        let padded =
            |(cell, width): (&String, usize)| format!("{cell}{}", " ".repeat(width.saturating_sub(cell.width())));
        let cells = row.iter().zip(widths).map(padded);
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    table.iter().map(line).collect()
}
