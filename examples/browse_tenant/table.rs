//! Columns under each other. It does not know what stands in them.

/// Characters of a cell; what is longer is cut.
const WIDEST: usize = 40;

/// Puts rows into columns, the last one as long as it is.
pub(crate) fn aligned<const N: usize>(header: [&str; N], rows: &[[String; N]]) -> Vec<String> {
    let cut = |cell: &str| -> String {
        if cell.chars().count() <= WIDEST {
            return cell.to_owned();
        }
        cell.chars().take(WIDEST - 1).chain(['…']).collect()
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
            *width = (*width).max(cell.chars().count());
        }
    }
    let line = |row: &[String; N]| {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    table.iter().map(line).collect()
}
