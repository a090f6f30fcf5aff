"""Functions that Kusto documents and kqlite refuses, with the reason: a query that names one is told so, and the page lists them."""

_REASONS = {
    "only whole decimals are held": "todecimal",
    "a parser of XML and a database of browsers are not part of kqlite": "parse_xml parse_user_agent",
    "no page says how two hashes become one": "hash_combine hash_many",
    "its page contradicts that of base64_encode_fromguid()": "base64_decode_toguid",
    "no page says which parsers there are": "parse_command_line",
    "the engine has no such compression or encoding": "gzip_compress_to_base64_string gzip_decompress_from_base64_string"
    " zlib_compress_to_base64_string zlib_decompress_from_base64_string punycode_from_string punycode_to_string punycode_domain_from_string"
    " punycode_domain_to_string",
    "the names of time zones are those of the IANA": "datetime_list_timezones",
    "it counts weeks otherwise than week_of_year(), and no page says how": "weekofyear",
    "its size comes from a request option": "bin_auto",
    "a query has no other effect than its rows": "assert",
    "a sketch is no answer where the exact one is at hand": "hll hll_if hll_merge dcount_hll tdigest tdigest_merge merge_tdigest"
    " percentile_tdigest percentiles_array_tdigest percentrank_tdigest rank_tdigest",
    "the shape of a document is not data here": "buildschema",
    "time series are analysed elsewhere": "series_fir series_iir series_fft series_ifft series_fit_line series_fit_line_dynamic"
    " series_fit_2lines series_fit_2lines_dynamic series_fit_poly series_outliers series_periods_detect series_periods_validate"
    " series_seasonal series_decompose series_decompose_forecast series_decompose_anomalies series_stats series_stats_dynamic"
    " series_fill_linear",
    "statistics are left to other tools": "beta_cdf beta_inv beta_pdf erf erfc welch_test",
    "geography is left to other tools": "geo_angle geo_azimuth geo_closest_point_on_line geo_closest_point_on_polygon geo_distance_2points"
    " geo_distance_point_to_line geo_distance_point_to_polygon geo_from_wkt geo_geohash_neighbors geo_geohash_to_central_point"
    " geo_geohash_to_polygon geo_h3cell_children geo_h3cell_level geo_h3cell_neighbors geo_h3cell_parent geo_h3cell_rings"
    " geo_h3cell_to_central_point geo_h3cell_to_polygon geo_info_from_ip_address geo_intersection_2lines geo_intersection_2polygons"
    " geo_intersection_line_with_polygon geo_intersects_2lines geo_intersects_2polygons geo_intersects_line_with_polygon geo_line_buffer"
    " geo_line_centroid geo_line_densify geo_line_interpolate_point geo_line_length geo_line_locate_point geo_line_simplify"
    " geo_line_to_s2cells geo_point_buffer geo_point_in_circle geo_point_in_polygon geo_point_to_geohash geo_point_to_h3cell"
    " geo_point_to_s2cell geo_polygon_area geo_polygon_buffer geo_polygon_centroid geo_polygon_densify geo_polygon_perimeter"
    " geo_polygon_simplify geo_polygon_to_h3cells geo_polygon_to_s2cells geo_s2cell_neighbors geo_s2cell_to_central_point"
    " geo_s2cell_to_polygon geo_simplify_polygons_array geo_union_lines_array geo_union_polygons_array",
    "units of measurement are left to other tools": "convert_angle convert_energy convert_force convert_length convert_mass convert_speed"
    " convert_temperature convert_volume",
    "there are no graphs": "all map inner_nodes node_id node_degree_in node_degree_out labels",
    "it asks about a cluster, and there is none": "cluster database external_table materialized_view entity_group stored_query_result graph"
    " current_cluster_endpoint current_database current_principal current_principal_details current_principal_is_member_of"
    " cursor_after cursor_before_or_at cursor_current extent_id extent_tags ingestion_time row_id estimate_data_size",
}

REFUSED = {name: reason for reason, names in _REASONS.items() for name in names.split()}
"""The reason for each name."""
