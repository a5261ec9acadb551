# Means and ratios of six generalized mixed models by emmeans:
#
#     Rscript tests/reference/generalized_means.R > tests/reference/generalized_means.json

source("tests/reference/generalized_models.R")
suppressMessages(library(emmeans))

# columns: estimate, standard error, lower and upper limit
numbers <- function(x, ...) {
  d <- as.data.frame(summary(x, infer = TRUE, adjust = "none", ...))
  first <- which(names(d) == "SE") - 1
  unname(as.matrix(d[, c(first, first + 1, first + 3, first + 4)]))
}
specs <- list(
  cbpp = ~period, contraception = ~ ch + urban, grouseticks = ~YEAR, carrots = ~trt,
  epil = ~ trt | visit, rats = ~Diet
)
out <- lapply(setNames(names(specs), names(specs)), function(name) {
  how <- if (name == "epil") list(offset = mean(log(epil$base / 4)))
  means <- do.call(emmeans, c(list(models[[name]], specs[[name]], df = Inf), how))
  compared <- pairs(means, adjust = "tukey")
  list(
    link = numbers(means), response = numbers(means, type = "response"),
    differences = numbers(compared), ratios = numbers(compared, type = "response"),
    pvalue = as.data.frame(compared)$p.value
  )
})
cat(toJSON(c(list(made_by = made_by), out), digits = I(10), auto_unbox = TRUE), "\n")
