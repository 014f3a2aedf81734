/** Cells of the masks and of the map of differences, along each side of a picture. */
export const CELLS_ALONG = 112;
