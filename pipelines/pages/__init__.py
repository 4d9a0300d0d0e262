"""Everything that is drawn or rendered: pages, charts, tables, grids of images."""
