"""
Example data sets for mixed models.

Each data set has the interface of a data module of ``statsmodels.datasets``: the
functions ``load_pandas()`` and ``load()`` and the strings ``TITLE``, ``COPYRIGHT``,
``SOURCE``, ``DESCRSHORT``, ``DESCRLONG`` and ``NOTE``. Columns and levels are named as
in the R packages lme4 and nlme.

Examples
--------
>>> from statsmodels_lmm import datasets
>>> data = datasets.sleepstudy.load_pandas().data
>>> data.shape
(180, 3)
"""

from ._loader import ExampleData

__all__ = [
    "cake",
    "cbpp",
    "contraception",
    "dyestuff",
    "dyestuff2",
    "grouseticks",
    "insteval",
    "machines",
    "oats",
    "orthodont",
    "pastes",
    "penicillin",
    "sleepstudy",
]

_DAVIES = (
    "Davies, O. L. and Goldsmith, P. L. (eds.) (1972). Statistical Methods in "
    "Research and Production, 4th ed. Edinburgh: Oliver and Boyd, section {}."
)

sleepstudy = ExampleData(
    file="sleepstudy.csv",
    endog="Reaction",
    factors=("Subject",),
    n_obs=180,
    variables={
        "Reaction": "mean reaction time of the day (ms)",
        "Days": "day of the study, 0 to 9",
        "Subject": "identifier of the subject, 18 levels",
    },
    TITLE="Reaction times under sleep restriction",
    SOURCE=(
        "Belenky, G., Wesensten, N. J., Thorne, D. R., Thomas, M. L., Sing, H. C., "
        "Redmond, D. P., Russo, M. B. and Balkin, T. J. (2003). Patterns of "
        "performance degradation and restoration during sleep restriction and "
        "subsequent recovery: a sleep dose-response study. Journal of Sleep "
        "Research, 12, 1-12."
    ),
    DESCRSHORT="Daily reaction times of 18 subjects with three hours in bed per night.",
    DESCRLONG=(
        "Each of 18 subjects has one mean reaction time for each of ten days. The "
        "first two days were used for training and day 2 gave the baseline; from "
        "then on the subjects spent only three hours per night in bed. Intercepts "
        "and slopes over days clearly differ between subjects, which makes the data "
        "a standard example of correlated random coefficients."
    ),
)

dyestuff = ExampleData(
    file="dyestuff.csv",
    endog="Yield",
    factors=("Batch",),
    n_obs=30,
    variables={
        "Batch": "batch of the intermediate product, A to F",
        "Yield": "yield of dyestuff (grams of standard color)",
    },
    TITLE="Yield of dyestuff from six batches",
    SOURCE=_DAVIES.format("6.4"),
    DESCRSHORT="Five yields of dyestuff from each of six batches of an intermediate.",
    DESCRLONG=(
        "Six batches of an intermediate product (H-acid) were sampled, and five "
        "preparations of the dyestuff Naphthalene Black 12B were made from each. "
        "The balanced one-way layout separates the variance between batches from "
        "the variance within batches."
    ),
)

dyestuff2 = ExampleData(
    file="dyestuff2.csv",
    endog="Yield",
    factors=("Batch",),
    n_obs=30,
    variables={
        "Batch": "batch, A to F",
        "Yield": "artificial yield (no unit)",
    },
    TITLE="Artificial yields from six batches with no batch variance",
    SOURCE=(
        "Box, G. E. P. and Tiao, G. C. (1973). Bayesian Inference in Statistical "
        "Analysis. Reading, MA: Addison-Wesley, section 5.1.2."
    ),
    DESCRSHORT=(
        "Artificial one-way data in which the batch variance is estimated as zero."
    ),
    DESCRLONG=(
        "The layout is that of the dyestuff data, but the values were constructed "
        "so that the mean square between batches is below the mean square within "
        "batches. The estimated batch variance is on the boundary, at zero."
    ),
)

penicillin = ExampleData(
    file="penicillin.csv",
    endog="diameter",
    factors=("plate", "sample"),
    n_obs=144,
    variables={
        "diameter": "diameter of the zone without growth (mm)",
        "plate": "assay plate, a to x",
        "sample": "penicillin sample, A to F",
    },
    TITLE="Penicillin assay on 24 plates",
    SOURCE=_DAVIES.format("6.6"),
    DESCRSHORT="Growth inhibition by six penicillin samples on each of 24 plates.",
    DESCRLONG=(
        "Six samples of penicillin were put on each of 24 agar plates with B. "
        "subtilis, and the diameter of the clear zone around each sample was "
        "measured. Plates and samples are completely crossed random factors."
    ),
)

pastes = ExampleData(
    file="pastes.csv",
    endog="strength",
    factors=("batch", "cask", "sample"),
    n_obs=60,
    variables={
        "strength": "strength of the paste",
        "batch": "delivery batch, A to J",
        "cask": "cask within the batch, a to c",
        "sample": "batch and cask, A:a to J:c",
    },
    TITLE="Strength of a chemical paste by batch and cask",
    SOURCE=_DAVIES.format("6.5"),
    DESCRSHORT="Two assays from each of three casks in ten deliveries of a paste.",
    DESCRLONG=(
        "Three casks were sampled at random from each of ten deliveries, and the "
        "strength of each sample was determined twice. Casks are nested in "
        "batches: cask a of one batch has nothing to do with cask a of another, "
        "whereas the levels of sample are unique."
    ),
)

cake = ExampleData(
    file="cake.csv",
    endog="angle",
    factors=("replicate", "recipe", "temperature"),
    ordered=("temperature",),
    n_obs=270,
    variables={
        "replicate": "replicate within the recipe, 1 to 15",
        "recipe": "recipe, A to C",
        "temperature": "baking temperature (degrees F), ordered factor",
        "angle": "angle at which the cake broke (degrees)",
        "temp": "baking temperature (degrees F), number",
    },
    TITLE="Breaking angle of chocolate cakes",
    SOURCE=(
        "Cook, F. E. (1938). Chocolate cake: I. Optimum baking temperature. Master's "
        "thesis, Iowa State College. Printed in Cochran, W. G. and Cox, G. M. (1957). "
        "Experimental Designs, 2nd ed. New York: Wiley, p. 300."
    ),
    DESCRSHORT="Breaking angle of cakes baked by three recipes at six temperatures.",
    DESCRLONG=(
        "A split-plot experiment. Fifteen batches of batter were made with each of "
        "three recipes (whole plots), and six cakes from each batch were baked at "
        "six temperatures (subplots). Replicates are nested in recipes, so a batch "
        "is a combination of recipe and replicate."
    ),
)

insteval = ExampleData(
    file="insteval.csv.gz",
    endog="y",
    factors=("s", "d", "studage", "lectage", "service", "dept"),
    levels={"dept": "15 5 10 12 6 7 4 8 9 14 1 3 11 2"},
    ordered=("studage", "lectage"),
    n_obs=73421,
    variables={
        "s": "student, 2,972 levels",
        "d": "lecturer, 1,128 levels",
        "studage": "semesters the student has been enrolled, ordered factor",
        "lectage": "semesters since the lecture was held, ordered factor",
        "service": "1 if held for a department other than the lecturer's, else 0",
        "dept": "department of the lecture, 14 randomly coded levels",
        "y": "rating, from 1 (poor) to 5 (very good)",
    },
    TITLE="Lecture evaluations at ETH Zurich",
    SOURCE=(
        "Student survey at ETH Zurich, anonymized and slightly simplified. There is "
        "no original publication; the ratings were published with the R package lme4 "
        "(Bates, D., Maechler, M., Bolker, B. and Walker, S. (2015). Fitting linear "
        "mixed-effects models using lme4. Journal of Statistical Software, 67(1))."
    ),
    COPYRIGHT="Survey data published in lme4. No copyright is claimed for the data.",
    DESCRSHORT="73,421 ratings of 1,128 lecturers by 2,972 students.",
    DESCRLONG=(
        "Each row is the rating of one lecture by one student. Students and "
        "lecturers are partially crossed, and lecturers are nested in departments. "
        "With about 4100 random effects the data test speed and memory."
    ),
)

machines = ExampleData(
    file="machines.csv",
    endog="score",
    factors=("Worker", "Machine"),
    levels={"Worker": "6 2 4 1 3 5"},
    n_obs=54,
    variables={
        "Worker": "worker, 6 levels",
        "Machine": "brand of the machine, A to C",
        "score": "productivity score from the number and quality of components",
    },
    TITLE="Productivity of six workers on three machines",
    SOURCE=(
        "Milliken, G. A. and Johnson, D. E. (1992). Analysis of Messy Data, Volume "
        "I: Designed Experiments. London: Chapman and Hall, p. 285."
    ),
    DESCRSHORT=(
        "Three productivity scores for each of six workers on each of three machines."
    ),
    DESCRLONG=(
        "Six workers drawn at random from the staff of a factory used each of three "
        "brands of machine three times. Machines are fixed and workers random; the "
        "differences between machines vary widely from worker to worker."
    ),
)

oats = ExampleData(
    file="oats.csv",
    endog="yield",
    factors=("Block", "Variety"),
    levels={"Block": "VI V III IV II I"},
    n_obs=72,
    variables={
        "Block": "block, I to VI",
        "Variety": "variety of oats, 3 levels",
        "nitro": "nitrogen (hundredweight per acre)",
        "yield": "yield (quarter pounds per subplot of 1/80 acre)",
    },
    TITLE="Split-plot experiment on oats",
    SOURCE=(
        "Yates, F. (1935). Complex experiments. Supplement to the Journal of the "
        "Royal Statistical Society, 2, 181-247."
    ),
    DESCRSHORT="Yield of three varieties of oats at four levels of nitrogen.",
    DESCRLONG=(
        "A field trial at Rothamsted in 1931 with six blocks. Each block has three "
        "whole plots, one per variety, and each whole plot has four subplots, one "
        "per amount of nitrogen. Whole plots are combinations of block and variety."
    ),
)

orthodont = ExampleData(
    file="orthodont.csv",
    endog="distance",
    factors=("Subject", "Sex"),
    levels={
        "Subject": (
            "M16 M05 M02 M11 M07 M08 M03 M12 M13 M14 M09 M15 M06 M04 M01 M10 "
            "F10 F09 F06 F01 F05 F07 F02 F08 F03 F04 F11"
        ),
        "Sex": "Male Female",
    },
    n_obs=108,
    variables={
        "distance": "distance from pituitary to pterygomaxillary fissure (mm)",
        "age": "age (years): 8, 10, 12 or 14",
        "Subject": "child, 27 levels",
        "Sex": "Male or Female",
    },
    TITLE="Growth of an orthodontic distance in children",
    SOURCE=(
        "Potthoff, R. F. and Roy, S. N. (1964). A generalized multivariate analysis "
        "of variance model useful especially for growth curve problems. Biometrika, "
        "51, 313-326."
    ),
    DESCRSHORT="A distance in the skulls of 27 children, measured at four ages.",
    DESCRLONG=(
        "The distance was measured on X-ray images of 16 boys and 11 girls at the "
        "ages of 8, 10, 12 and 14 years. The data are a standard example of growth "
        "curves with random intercepts and slopes per child."
    ),
)

cbpp = ExampleData(
    file="cbpp.csv",
    endog="incidence",
    factors=("herd", "period"),
    n_obs=56,
    variables={
        "herd": "herd, 1 to 15",
        "incidence": "new serological cases in the herd and period",
        "size": "animals at the beginning of the period",
        "period": "period, 1 to 4, each of three months",
    },
    TITLE="Contagious bovine pleuropneumonia in 15 herds of zebu cattle",
    SOURCE=(
        "Lesnoff, M., Laval, G., Bonnet, P., Abdicho, S., Workalemahu, A., Kifle, D., "
        "Peyraud, A., Lancelot, R. and Thiaucourt, F. (2004). Within-herd spread of "
        "contagious bovine pleuropneumonia in Ethiopian highlands. Preventive "
        "Veterinary Medicine, 64, 27-40."
    ),
    DESCRSHORT="New cases of a lung disease in 15 herds of cattle over four quarters.",
    DESCRLONG=(
        "Blood samples were taken every quarter from all animals of 15 newly infected "
        "herds in the Boji district of Ethiopia. A row gives the number of new cases "
        "in a herd and period and the number of animals, that is, the successes and "
        "trials of a binomial response. Some herds were lost to follow-up."
    ),
)

contraception = ExampleData(
    file="contraception.csv",
    endog="use",
    factors=("woman", "district", "use", "livch", "urban"),
    levels={"livch": "0 1 2 3+"},
    n_obs=1934,
    variables={
        "woman": "identifier of the woman, 1,934 levels",
        "district": "district, 60 levels",
        "use": "whether she was using contraception, N or Y",
        "livch": "living children: 0, 1, 2 or 3+",
        "age": "age (years), centered",
        "urban": "whether she lived in an urban area, N or Y",
    },
    TITLE="Use of contraception in Bangladesh",
    SOURCE=(
        "Part of the Bangladesh Fertility Survey of 1989: Huq, N. M. and Cleland, J. "
        "(1990). Bangladesh Fertility Survey 1989 (Main Report). Dhaka: National "
        "Institute of Population Research and Training. Published with the program "
        "MLwiN of the Centre for Multilevel Modelling, University of Bristol, and with "
        "the R package mlmRev."
    ),
    COPYRIGHT="Published survey data. No copyright is claimed for the data.",
    DESCRSHORT="Use of contraception by 1,934 women in 60 districts.",
    DESCRLONG=(
        "Each row is a woman, with her age, the number of her living children and "
        "whether she lived in a town. The response is a text with two levels. Use "
        "rises and falls with age and varies between districts, and between town and "
        "country within districts."
    ),
)

grouseticks = ExampleData(
    file="grouseticks.csv",
    endog="TICKS",
    factors=("INDEX", "BROOD", "YEAR", "LOCATION"),
    n_obs=403,
    variables={
        "INDEX": "chick, 403 levels, one for each row",
        "TICKS": "number of ticks on the head of the chick",
        "BROOD": "brood, 118 levels",
        "HEIGHT": "height above sea level (m)",
        "YEAR": "year, 95 to 97",
        "LOCATION": "place, 63 levels",
        "cHEIGHT": "HEIGHT, centered",
    },
    TITLE="Ticks on red grouse chicks",
    SOURCE=(
        "Elston, D. A., Moss, R., Boulinier, T., Arrowsmith, C. and Lambin, X. (2001). "
        "Analysis of aggregation, a worked example: numbers of ticks on red grouse "
        "chicks. Parasitology, 122, 563-569."
    ),
    DESCRSHORT="Ticks on the heads of 403 red grouse chicks of 118 broods.",
    DESCRLONG=(
        "Chicks are nested in broods, and broods in places. The counts vary far more "
        "than Poisson counts, so that the chick itself is a grouping factor: an "
        "observation-level random effect."
    ),
)
